#include "core/memory/fork_guard.h"

namespace nomyo {

Error ForkedChildError() {
  return {
      Code::kMemoryLock,
      "This process was made by fork() from one that had loaded nomyo-native, and the memory that keys lie in is kept "
      "out of such children. Start the child as a new process (child_process, exec), or load nomyo-native after the "
      "fork."};
}

}  // namespace nomyo
