// SPDX-License-Identifier: Apache-2.0
#include "sandbox/device_rules.h"

#include <cstddef>

#include "base/text.h"

namespace cbuild::sandbox {
namespace {

constexpr bpf_insn instruction(int code, int to, int from, int offset, int value) {
  return bpf_insn{static_cast<__u8>(code), static_cast<__u8>(to & 15), static_cast<__u8>(from & 15),
                  static_cast<__s16>(offset), value};
}
bpf_insn load_word(int to, std::size_t offset) {
  return instruction(BPF_LDX | BPF_MEM | BPF_W, to, BPF_REG_1, static_cast<int>(offset), 0);
}
bpf_insn move_value(int to, int value) { return instruction(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value); }
/// Skips `count` instructions unless the register has the value.
bpf_insn unless_equal(int reg, int value, int count) {
  return instruction(BPF_JMP | BPF_JNE | BPF_K, reg, 0, count, value);
}

/// Skips `count` instructions if the register has one of the bits.
bpf_insn if_any_bit(int reg, int bits, int count) {
  return instruction(BPF_JMP | BPF_JSET | BPF_K, reg, 0, count, bits);
}

constexpr int kAccess = BPF_REG_2, kType = BPF_REG_3, kMajor = BPF_REG_4, kMinor = BPF_REG_5;

}  // namespace

std::vector<DeviceRule> device_rules(const Spec& spec) {
  std::vector<DeviceRule> rules = {{'c', 1, 3}, {'c', 1, 5}, {'c', 1, 7}, {'c', 1, 8},
                                   {'c', 1, 9}, {'c', 5, 0}, {'c', 5, 2}, {'c', 136, -1}};
  for (const DeviceNode& node : spec.devices)
    if (node.type != 'p')
      rules.push_back({node.type == 'b' ? 'b' : 'c', static_cast<int>(node.major), static_cast<int>(node.minor),
                       node.may_read, node.may_write});
  return rules;
}

std::vector<std::string> devices_allow_lines(std::span<const DeviceRule> rules) {
  std::vector<std::string> lines = {"c *:* m", "b *:* m"};
  for (const DeviceRule& rule : rules)
    lines.push_back(cat(rule.type, " ", rule.major, ":", rule.minor < 0 ? "*" : std::to_string(rule.minor), " ",
                        rule.may_read ? "r" : "", rule.may_write ? "w" : "", "m"));
  return lines;
}

std::vector<bpf_insn> device_program(std::span<const DeviceRule> rules) {
  std::vector<bpf_insn> code = {
      load_word(kAccess, offsetof(bpf_cgroup_dev_ctx, access_type)),
      load_word(kMajor, offsetof(bpf_cgroup_dev_ctx, major)),
      load_word(kMinor, offsetof(bpf_cgroup_dev_ctx, minor)),
      instruction(BPF_ALU64 | BPF_MOV | BPF_X, kType, kAccess, 0, 0),
      instruction(BPF_ALU64 | BPF_AND | BPF_K, kType, 0, 0, 0xffff),
      instruction(BPF_ALU64 | BPF_RSH | BPF_K, kAccess, 0, 0, 16),
      // Nothing but mknod: allowed.
      instruction(BPF_ALU64 | BPF_AND | BPF_K, kAccess, 0, 0, BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE),
      unless_equal(kAccess, 0, 2),
      move_value(BPF_REG_0, 1),
      instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
  };
  for (const DeviceRule& rule : rules) {
    const int denied = (rule.may_read ? 0 : BPF_DEVCG_ACC_READ) | (rule.may_write ? 0 : BPF_DEVCG_ACC_WRITE);
    std::vector<bpf_insn> checks = {unless_equal(kType, rule.type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR, 0),
                                    unless_equal(kMajor, rule.major, 0)};
    if (rule.minor >= 0) checks.push_back(unless_equal(kMinor, rule.minor, 0));
    if (denied != 0) checks.push_back(if_any_bit(kAccess, denied, 0));
    // Each one that fails skips the rest of them and the two instructions that allow.
    for (std::size_t i = 0; i < checks.size(); ++i) {
      checks[i].off = static_cast<__s16>(checks.size() - i + 1);
      code.push_back(checks[i]);
    }
    code.push_back(move_value(BPF_REG_0, 1));
    code.push_back(instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
  }
  code.push_back(move_value(BPF_REG_0, 0));
  code.push_back(instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
  return code;
}

}  // namespace cbuild::sandbox
