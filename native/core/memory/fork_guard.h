// ForkGuard: whether this process is a child that fork() made of one that had keys.
//
// Such a child has the pool's bookkeeping but not its memory: private memory reads as zeros there (MADV_WIPEONFORK), so
// that a key would be used that is no key, and memfd_secret memory is not mapped at all. So every use of the pool, of a
// key that waits in it, and of the addon asks here first, and refuses.
#pragma once

#include "core/result.h"

namespace nomyo {

// GuardForks begins to watch: a fork() from then on is noticed in the child. Called before anything secret is held.
// Later calls do nothing. Any thread.
void GuardForks() noexcept;

// InForkedChild returns whether this process was made by fork() after GuardForks(). A look at two words, of which the C
// library's fork() sets one in children and the kernel wipes the other, after each call that forks; where it cannot,
// the process's id is compared. Any thread; never waits.
bool InForkedChild() noexcept;

// ForkedChildError is what whoever asks for a secret in such a child is told: kMemoryLock. Any thread.
Error ForkedChildError();

}  // namespace nomyo
