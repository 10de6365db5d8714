// How much of a job's stack a piece of work uses.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <functional>

#include "core/threads/job_stack.h"

namespace nomyo::test {

// StackUseOf runs `work` on a fresh job stack and returns the bytes between its top and the lowest that is not zero.
inline std::size_t StackUseOf(const std::function<void()>& work) {
  auto stack = JobStack::Allocate(Locking::kRequired);
  EXPECT_TRUE(stack.ok());
  struct Measure {
    const JobStack* stack;
    const std::function<void()>* work;
    std::size_t used;
  } measure{&*stack, &work, 0};
  stack->Run(
      [](void* data) {
        auto& given = *static_cast<Measure*>(data);
        (*given.work)();
        const auto bytes = given.stack->bytes();
        const auto first = std::find_if(bytes.begin(), bytes.end(), [](auto byte) { return byte != 0; });
        given.used = static_cast<std::size_t>(bytes.end() - first);
      },
      &measure);
  return measure.used;
}

}  // namespace nomyo::test
