// SPDX-License-Identifier: Apache-2.0
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

int main(int argc, char** argv) {
  // As in the program: what a test opens never becomes 0, 1 or 2.
  int fd = ::open("/dev/null", O_RDWR);
  while (fd >= 0 && fd < 3) fd = ::open("/dev/null", O_RDWR);
  if (fd >= 0) ::close(fd);
  return doctest::Context(argc, argv).run();
}

#ifdef CBUILD_TSAN
// oneTBB is not instrumented: the memory that its own threads hand to each other looks like a race in memset and
// memmove.
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() { return "called_from_lib:libtbb.so\n"; }
#endif
