/* What Go needs of C: Go calls no function through a pointer.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "keystead_plugin.h"

void tell_message(keystead_reply reply, char *start, size_t length);
void tell_value(keystead_reply reply, uint32_t kind, char *start, size_t length);
void tell_entry(keystead_reply reply, uint32_t kind, char *start, size_t length);
void tell_next(keystead_reply reply, char *start, size_t length);
