// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <vector>

namespace cbuild::sandbox::confine::testing {

/// For tests: the answer of a filter to a system call, by the kernel's rules for the instructions that our compiler and
/// libseccomp emit. Any other one fails the test.
inline std::uint32_t run_filter(const std::vector<sock_filter>& program, const seccomp_data& data) {
  std::uint32_t a = 0, memory[BPF_MEMWORDS] = {};
  for (std::size_t at = 0; at < program.size(); ++at) {
    const sock_filter& in = program[at];
    const auto jump = [&](bool holds) { at += holds ? in.jt : in.jf; };
    switch (in.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        REQUIRE(in.k + 4 <= sizeof data);
        std::memcpy(&a, reinterpret_cast<const char*>(&data) + in.k, sizeof a);
        break;
      case BPF_LD | BPF_MEM:
        REQUIRE(in.k < BPF_MEMWORDS);
        a = memory[in.k];
        break;
      case BPF_ST:
        REQUIRE(in.k < BPF_MEMWORDS);
        memory[in.k] = a;
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        a &= in.k;
        break;
      case BPF_JMP | BPF_JA:
        at += in.k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        jump(a == in.k);
        break;
      case BPF_JMP | BPF_JGT | BPF_K:
        jump(a > in.k);
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        jump(a >= in.k);
        break;
      case BPF_JMP | BPF_JSET | BPF_K:
        jump((a & in.k) != 0);
        break;
      case BPF_RET | BPF_K:
        return in.k;
      default:
        FAIL("unexpected instruction ", in.code);
    }
  }
  FAIL("ran off the end");
  return 0;
}

}  // namespace cbuild::sandbox::confine::testing
