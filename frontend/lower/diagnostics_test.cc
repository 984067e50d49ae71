// SPDX-License-Identifier: Apache-2.0
// testdata/diagnostics/cases.txt: wrong Dockerfiles and the messages about them. CBUILD_UPDATE_GOLDEN=1 writes the
// answers instead of comparing, to be read before they are committed.
#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "base/text.h"
#include "frontend/lower/lower_fixture.h"

namespace cbuild::frontend {
namespace {

const std::string kPath = CBUILD_TESTDATA "/diagnostics/cases.txt";

struct Case {
  std::string head;  ///< name and "@" lines as they stand
  std::string name, reference, target, build_arg;
  std::string text, expected;
};

std::string contents_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Takes "@ KEY VALUE" into its field.
void read_option(Case& into, const std::string& line) {
  const std::size_t blank = line.find(' ', 2);
  const std::string key = line.substr(2, blank - 2), value = line.substr(blank + 1);
  if (key == "reference") into.reference = value;
  if (key == "target") into.target = value;
  if (key == "build-arg") into.build_arg = value;
}

struct File {
  std::string preamble;
  std::vector<Case> cases;
};

File read_cases() {
  File file;
  bool answer = false;
  for (const std::string& line : split(contents_of(kPath), '\n')) {
    if (line.starts_with("=== ")) {
      file.cases.push_back({.head = line + "\n", .name = line.substr(4)});
      answer = false;
    } else if (file.cases.empty()) {
      file.preamble += line + "\n";
    } else if (line == "---") {
      answer = true;
    } else if (!answer && line.starts_with("@ ")) {
      file.cases.back().head += line + "\n";
      read_option(file.cases.back(), line);
    } else {
      (answer ? file.cases.back().expected : file.cases.back().text) += line + "\n";
    }
  }
  file.cases.back().expected.pop_back();  // the empty text after the last line feed
  return file;
}

std::string answer_to(const Case& each) {
  testing::Build build;
  build.images.images["with-bad-trigger"] = testing::FakeImages::plain_image();
  build.images.images["with-bad-trigger"].config.on_build = {"RNU x"};
  build.options.target = each.target;
  if (const std::size_t equals = each.build_arg.find('='); equals != std::string::npos) {
    build.options.build_args[each.build_arg.substr(0, equals)] = each.build_arg.substr(equals + 1);
  }
  Checks checks;
  build.options.reports.checks = &checks;
  return build.error(each.text);
}

TEST_CASE("messages about wrong Dockerfiles") {
  const bool update = std::getenv("CBUILD_UPDATE_GOLDEN") != nullptr;
  const File file = read_cases();
  CHECK(file.cases.size() >= 90);
  std::string written = file.preamble;
  for (const Case& each : file.cases) {
    CAPTURE(each.name);
    const std::string answer = answer_to(each);
    CHECK_FALSE(answer.empty());
    CHECK_MESSAGE(answer.find(each.reference) != std::string::npos, answer);
    written += cat(each.head, each.text, "---\n", answer);
    if (!update) CHECK(answer == each.expected);
  }
  if (update) std::ofstream(kPath, std::ios::binary) << written;
}

/// Every error but those about the command line says where, and shows the line with a mark.
TEST_CASE("every answer shows the place") {
  for (const Case& each : read_cases().cases) {
    CAPTURE(each.name);
    const bool elsewhere = each.name == "target-missing" || each.name == "fileop" || each.name == "checks-as-errors" ||
                           each.name == "base-missing" || each.name == "cycle";
    if (!elsewhere) CHECK(each.expected.starts_with("Dockerfile:"));
    if (!elsewhere) CHECK(each.expected.find("    | ") != std::string::npos);
  }
}

}  // namespace
}  // namespace cbuild::frontend
