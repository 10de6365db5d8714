// A libcrypto that was compiled on Debian 13 (glibc 2.41) calls __isoc23_strtol, which is what strtol became there for
// sources that say _GNU_SOURCE; glibc has it from 2.38 on. It differs from strtol in one thing: with base 0 or 2 it
// also takes "0b101". libcrypto parses configuration and ASN.1 templates with it, which this package never does, and
// wrote these calls for C99's meaning.
#include <stdlib.h>

long __isoc23_strtol(const char* text, char** end, int base);

long __isoc23_strtol(const char* text, char** end, int base) {
  return strtol(text, end, base);
}
