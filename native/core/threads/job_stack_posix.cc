#if defined(__linux__) || defined(__APPLE__)

#include <cstdint>

#include "core/memory/cleanse.h"
#include "core/memory/stack_wipe.h"
#include "core/threads/job_stack.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace nomyo {
namespace {

struct Call {
  void (*function)(void*);
  void* argument;
#if defined(__SANITIZE_ADDRESS__)
  void* fake_stack = nullptr;
  const void* former_bottom = nullptr;
  std::size_t former_size = 0;
#endif
};

// Enter is the first function on the new stack.
extern "C" __attribute__((used)) void NomyoEnterJobStack(void* data) {
  auto* call = static_cast<Call*>(data);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &call->former_bottom, &call->former_size);
#endif
  call->function(call->argument);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(nullptr, call->former_bottom, call->former_size);
#endif
}

// CallOnStack calls NomyoEnterJobStack(call) with the stack pointer at `top` (16-byte aligned), and comes back to the
// stack it left: a register that calls preserve holds the old stack pointer. All registers that a call may change are
// declared changed. Nothing unwinds through here, because jobs do not throw.
void CallOnStack(void* top, Call* call) {
#if defined(__x86_64__)
  __asm__ volatile(
      "movq %%rsp, %%rbx\n\t"
      "movq %[top], %%rsp\n\t"
      "callq *%[enter]\n\t"
      "movq %%rbx, %%rsp\n\t"
      : [top] "+r"(top), "+D"(call)
      : [enter] "r"(&NomyoEnterJobStack)
      : "rbx", "rax", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3",
        "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
#elif defined(__aarch64__)
  register void* argument __asm__("x0") = call;
  __asm__ volatile(
      "mov x19, sp\n\t"
      "mov sp, %[top]\n\t"
      "blr %[enter]\n\t"
      "mov sp, x19\n\t"
      : "+r"(argument)
      : [top] "r"(top), [enter] "r"(&NomyoEnterJobStack)
      : "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17",
        "x19", "x30", "memory", "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12",
        "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28",
        "v29", "v30", "v31");
#else
#error "Write CallOnStack for this processor: secrets must not be left on an ordinary stack."
#endif
}

}  // namespace

void JobStack::Run(void (*function)(void*), void* argument) noexcept {
  Call call{};
  call.function = function;
  call.argument = argument;
  // The top is the highest aligned address in the buffer.
  auto* const top =
      memory_.data() + memory_.size() - reinterpret_cast<std::uintptr_t>(memory_.data() + memory_.size()) % 16;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&call.fake_stack, memory_.data(), memory_.size());
#endif
  CallOnStack(top, &call);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(call.fake_stack, nullptr, nullptr);
  // Frames that are gone may have left red zones.
  ASAN_UNPOISON_MEMORY_REGION(memory_.data(), memory_.size());
#endif
  ClearVectorRegisters();
  // All of it, every time: where a job's frames were cannot be told for certain, and 128 KiB cost a few microseconds.
  Cleanse(memory_.data(), memory_.size());
}

}  // namespace nomyo

#else
#error "This file is for Linux and macOS: native/CMakeLists.txt takes each system's own."
#endif
