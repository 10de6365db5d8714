// NewPackageArrayBuffer: a sealed package's own memory as an array buffer, without a copy.
//
// Node calls an array buffer's finalizer when the last owner of the backing store is gone, or when the environment
// ends; and in the second case another thread may still own the store, if somebody moved it there by
// ArrayBuffer.prototype.transfer. So when the environment ends, the memory is given back only when the array buffer was
// still there and still had it: then nobody else can. All other memory is kept for ever, like that of a view of a
// secure buffer (addon/memory.cc): whoever has it may go on reading it, and it becomes nothing else.
//
// When the finalizer is called, Node has detached the array buffer already. The look is a witness's: a second array
// buffer, of one byte, that nobody gets. It is made later, so Node ends it earlier: on every line of Node what an
// environment has to clean up goes in the reverse order of its making. Were that not so any more, memory would be kept
// that need not be, and none given back that must not.
#pragma once

#include <cstddef>

#include <napi.h>

#include "core/memory/bulk_memory.h"

namespace nomyo::addon {

// NewPackageArrayBuffer gives the first `size` bytes of `memory` to an array buffer, and takes `memory` when it returns
// napi_ok; otherwise `memory` is as it was (Electron, for one, allows no external memory).
napi_status NewPackageArrayBuffer(napi_env env, BulkMemory& memory, std::size_t size, napi_value* array_buffer);

}  // namespace nomyo::addon
