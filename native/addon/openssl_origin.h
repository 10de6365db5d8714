// OpenSslIsOurOwn: whose copy of libcrypto the addon's calls go to.
#pragma once

namespace nomyo::addon {

// Node exports its own OpenSSL. If the linker flags were lost, our calls would bind to it: secrets would go through an
// allocator that locks nothing. Any thread.
bool OpenSslIsOurOwn() noexcept;

}  // namespace nomyo::addon
