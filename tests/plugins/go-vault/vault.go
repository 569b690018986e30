// A whole vault in Go: secrets in one JSON file, IN CLEAR TEXT, to show what a plugin in Go is
// made of. The table that leads here is in glue.c.
//
// SPDX-License-Identifier: MIT OR Apache-2.0
package main

/*
#include "glue.h"
*/
import "C"

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/cgo"
	"sort"
	"syscall"
	"unsafe"
)

// vault is one open vault. Every call reads the file: others may have changed it.
type vault struct{ file string }

// secret is a value as it crosses: its kind and its byte form.
type secret struct {
	Kind  uint32 `json:"kind"`
	Value []byte `json:"value"`
}

// status is an error that has a number of its own.
type status uint32

func (s status) Error() string { return "" }

// answered turns a function's error, or its panic, into the call's status.
func answered(host C.answering, to C.keystead_reply, run func() error) (result C.keystead_status) {
	defer func() {
		if recover() != nil { // what it holds may be secret
			say(host, to, "the plugin panicked")
			result = C.KEYSTEAD_INTERNAL
		}
	}()
	err := run()
	var number status
	switch {
	case err == nil:
		return C.KEYSTEAD_OK
	case errors.As(err, &number):
		return C.keystead_status(number)
	}
	say(host, to, err.Error())
	return C.KEYSTEAD_UNAVAILABLE
}

func say(host C.answering, to C.keystead_reply, text string) {
	start, length := parts(text)
	C.answer_message(host, to, start, length)
}

// parts lends a text to C for the length of one call.
func parts(text string) (*C.char, C.size_t) {
	bytes := append([]byte(text), 0) // never empty, so that it has an address
	return (*C.char)(unsafe.Pointer(&bytes[0])), C.size_t(len(text))
}

func text(bytes C.keystead_bytes) string {
	return C.GoStringN(bytes.data, C.int(bytes.size))
}

func of(handle C.uintptr_t) *vault { return cgo.Handle(handle).Value().(*vault) }

func (v *vault) load() (map[string]secret, error) {
	secrets := map[string]secret{}
	bytes, err := os.ReadFile(v.file)
	if errors.Is(err, fs.ErrNotExist) {
		return secrets, nil
	}
	if err == nil && json.Unmarshal(bytes, &secrets) != nil {
		err = fmt.Errorf("%s is not a file of secrets", v.file)
	}
	return secrets, err
}

// change reads the file, changes what was read, and puts a new file in the old one's place.
func (v *vault) change(with func(map[string]secret) error) error {
	lock, err := os.OpenFile(v.file+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	secrets, err := v.load()
	if err != nil {
		return err
	}
	if err := with(secrets); err != nil {
		return err
	}
	bytes, err := json.Marshal(secrets)
	if err != nil {
		return err
	}
	fresh, err := os.OpenFile(v.file+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = fresh.Write(bytes)
	if err == nil {
		err = fresh.Sync()
	}
	if closed := fresh.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(v.file+".new", v.file)
}

//export goOpen
func goOpen(file C.keystead_bytes) C.uintptr_t {
	return C.uintptr_t(cgo.NewHandle(&vault{text(file)}))
}

//export goClose
func goClose(handle C.uintptr_t) { cgo.Handle(handle).Delete() }

//export goGet
func goGet(host C.answering, handle C.uintptr_t, name C.keystead_bytes,
	to C.keystead_reply) C.keystead_status {
	return answered(host, to, func() error {
		secrets, err := of(handle).load()
		if err != nil {
			return err
		}
		found, there := secrets[text(name)]
		if !there {
			return status(C.KEYSTEAD_NOT_FOUND)
		}
		start, length := parts(string(found.Value))
		C.answer_value(host, to, C.uint32_t(found.Kind), start, length)
		return nil
	})
}

//export goList
func goList(host C.answering, handle C.uintptr_t, after C.keystead_bytes, limit C.uint32_t,
	to C.keystead_reply) C.keystead_status {
	return answered(host, to, func() error {
		secrets, err := of(handle).load()
		if err != nil {
			return err
		}
		names := make([]string, 0, len(secrets))
		for name := range secrets {
			if after.size == 0 || name > text(after) {
				names = append(names, name)
			}
		}
		sort.Strings(names)
		for at, name := range names {
			if at == int(limit) {
				start, length := parts(names[at-1])
				C.answer_next(host, to, start, length)
				break
			}
			start, length := parts(name)
			C.answer_entry(host, to, C.uint32_t(secrets[name].Kind), start, length)
		}
		return nil
	})
}

//export goSet
func goSet(host C.answering, handle C.uintptr_t, name, value C.keystead_bytes,
	kind, mode C.uint32_t, to C.keystead_reply) C.keystead_status {
	return answered(host, to, func() error {
		return of(handle).change(func(secrets map[string]secret) error {
			_, there := secrets[text(name)]
			if there && mode == C.KEYSTEAD_MODE_CREATE_ONLY {
				return status(C.KEYSTEAD_ALREADY_EXISTS)
			}
			if !there && mode == C.KEYSTEAD_MODE_REPLACE {
				return status(C.KEYSTEAD_NOT_FOUND)
			}
			secrets[text(name)] = secret{uint32(kind), []byte(text(value))}
			return nil
		})
	})
}

//export goRemove
func goRemove(host C.answering, handle C.uintptr_t, name C.keystead_bytes,
	to C.keystead_reply) C.keystead_status {
	return answered(host, to, func() error {
		return of(handle).change(func(secrets map[string]secret) error {
			if _, there := secrets[text(name)]; !there {
				return status(C.KEYSTEAD_NOT_FOUND)
			}
			delete(secrets, text(name))
			return nil
		})
	})
}

func main() {}
