// SPDX-License-Identifier: Apache-2.0
#include "supply/sbom/go_binary.h"

#include <doctest/doctest.h>

#include "base/text.h"

namespace cbuild::supply {
namespace {

struct Form {
  bool wide, big;
};

void put_number(std::string& out, std::size_t at, std::size_t size, std::uint64_t value, bool big) {
  if (out.size() < at + size) out.resize(at + size, '\0');
  for (std::size_t i = 0; i < size; ++i)
    out[at + (big ? size - 1 - i : i)] = static_cast<char>(value >> (8 * i) & 0xff);
}

std::string varint(std::uint64_t number) {
  std::string out;
  for (; number >= 0x80; number >>= 7) out += static_cast<char>((number & 0x7f) | 0x80);
  return out + static_cast<char>(number);
}

/// The section that the linker writes.
std::string info_of(const std::string& version, const std::string& modules, char flags = 2) {
  std::string out("\xff Go buildinf:");
  out += '\x08';
  out += flags;
  out.resize(32, '\0');
  const std::string marked = cat(std::string(16, 'm'), modules, std::string(16, 'm'));
  return out + varint(version.size()) + version + varint(marked.size()) + marked;
}

/// A file with sections for names and for `info`.
std::string elf_of(const std::string& info, Form form = {true, false}) {
  const std::string names =
      std::string(1, '\0') + ".shstrtab" + std::string(1, '\0') + ".go.buildinfo" + std::string(1, '\0');
  const std::size_t names_at = 64, info_at = names_at + names.size(), table = info_at + info.size();
  const std::size_t each = form.wide ? 64 : 40, word = form.wide ? 8 : 4;
  std::string out =
      "\x7f"
      "ELF";
  out += form.wide ? '\2' : '\1';
  out += form.big ? '\2' : '\1';
  out.resize(64, '\0');
  out += names + info;
  put_number(out, form.wide ? 40 : 32, word, table, form.big);
  put_number(out, form.wide ? 58 : 46, 2, each, form.big);
  put_number(out, form.wide ? 60 : 48, 2, 3, form.big);
  put_number(out, form.wide ? 62 : 50, 2, 1, form.big);
  const std::size_t contents[3][3] = {{0, 0, 0}, {1, names_at, names.size()}, {11, info_at, info.size()}};
  for (std::size_t i = 0; i < 3; ++i) {
    put_number(out, table + i * each, 4, contents[i][0], form.big);
    put_number(out, table + i * each + (form.wide ? 24 : 16), word, contents[i][1], form.big);
    put_number(out, table + i * each + (form.wide ? 32 : 20), word, contents[i][2], form.big);
    out.resize(table + (i + 1) * each, '\0');
  }
  return out;
}

std::vector<std::string> found_in(const std::string& file) {
  std::vector<std::string> out;
  const auto read = [&](std::uint64_t offset, std::size_t size) {
    return offset > file.size() ? std::string() : file.substr(static_cast<std::size_t>(offset), size);
  };
  for (const Package& package : parse_go_binary(read)) {
    CHECK(package.type == "golang");
    out.push_back(cat(package.name_space, package.name_space.empty() ? "" : "/", package.name, " ", package.version));
  }
  return out;
}

using Texts = std::vector<std::string>;

const std::string kModules =
    "path\texample.com/hello/cmd\nmod\texample.com/hello\tv1.2.3\t\ndep\tgolang.org/x/text\tv0.3.0\th1:x=\n"
    "dep\texample.com/old\tv1.0.0\n=>\texample.com/fork\tv1.0.1\th1:y=\nbuild\t-compiler=gc\n";

}  // namespace

TEST_CASE("modules of a Go program, with replacements and the standard library") {
  const Texts expected = {"example.com/hello v1.2.3", "golang.org/x/text v0.3.0", "example.com/fork v1.0.1",
                          "stdlib 1.22.3"};
  for (const Form form : {Form{true, false}, Form{true, true}, Form{false, false}, Form{false, true}})
    CHECK(found_in(elf_of(info_of("go1.22.3 X:nocoverageredesign", kModules), form)) == expected);
  CHECK(found_in(elf_of(info_of("go1.22.3", ""))) == Texts{"stdlib 1.22.3"});
  CHECK(found_in(elf_of(info_of("devel +abc", kModules))).size() == 3);
}

TEST_CASE("other files and damaged ones have no modules, wherever they end") {
  CHECK(found_in("").empty());
  CHECK(found_in("#!/bin/sh\n").empty());
  CHECK(found_in(elf_of("some other content that is long enough to be looked at")).empty());
  CHECK(found_in(elf_of(info_of("go1.22.3", kModules, 0))).empty());  // of Go before 1.18
  const std::string whole = elf_of(info_of("go1.22.3", kModules));
  for (std::size_t size = 0; size < whole.size(); size += 3) CHECK(found_in(whole.substr(0, size)).empty());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string changed = whole;
    changed[i] = '\xff';
    found_in(changed);  // ends, whatever it finds
  }
}

}  // namespace cbuild::supply
