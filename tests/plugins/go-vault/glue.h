/* What Go needs of C: Go calls no function through a pointer.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "keystead_plugin.h"

/* The host that a call answers to: Go has no word for const. */
typedef const keystead_host *answering;

void answer_message(answering host, keystead_reply reply, char *start, size_t length);
void answer_value(answering host, keystead_reply reply, uint32_t kind, char *start, size_t length);
void answer_entry(answering host, keystead_reply reply, uint32_t kind, char *start, size_t length);
void answer_next(answering host, keystead_reply reply, char *start, size_t length);
