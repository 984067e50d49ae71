// SPDX-License-Identifier: Apache-2.0
#include "exporter/output_type.h"

#include <doctest/doctest.h>

#include <set>
#include <vector>

#include "base/text.h"

namespace cbuild::exporter {
namespace {

std::vector<std::string> names_where(bool (*holds)(const Output&)) {
  std::vector<std::string> names;
  for (const OutputTraits* traits : output_types()) {
    Output output;
    output.type = traits->type;
    if (holds(output)) names.emplace_back(traits->name);
  }
  return names;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("every output type has one row, found by its value and by its name") {
  std::set<OutputType> types;
  std::set<std::string_view> keys;
  for (const OutputTraits* traits : output_types()) {
    CAPTURE(traits->name);
    CHECK(types.insert(traits->type).second);
    CHECK(&traits_of(traits->type) == traits);
    CHECK(find_output_type(traits->name) == traits);
    for (const OutputKey& key : traits->keys) CHECK(keys.insert(key.name).second);
  }
  CHECK(types.size() == 7);
  CHECK(find_output_type("squashfs") == nullptr);
}

TEST_CASE("the content of an output, and its abilities") {
  CHECK(names_where(makes_image) == Names{"oci", "docker", "image", "registry"});
  CHECK(names_where(makes_files) == Names{"local", "tar"});
  CHECK(names_where(is_directory) == Names{"local"});
  CHECK(names_where(can_push) == Names{"image", "registry"});
}

TEST_CASE("where an output goes") {
  struct Row {
    const char* text;
    OutputPlace place;
  };
  const Row rows[] = {{"type=oci", OutputPlace::file},
                      {"type=oci,tar=false,dest=d", OutputPlace::directory},
                      {"type=docker", OutputPlace::engine},
                      {"type=docker,dest=-", OutputPlace::file},
                      {"type=docker,tar=false,dest=d", OutputPlace::directory},
                      {"type=tar,tar=false", OutputPlace::file},
                      {"type=local,dest=d", OutputPlace::directory},
                      {"type=image,tar=false,dest=d", OutputPlace::names},
                      {"type=registry,name=r/x", OutputPlace::names},
                      {"type=cacheonly", OutputPlace::names}};
  for (const Row& row : rows) {
    CAPTURE(row.text);
    const Output output = parse_output(row.text, false);
    CHECK(traits_of(output.type).place(output) == row.place);
  }
}

TEST_CASE("the keys of each type are taken with all types") {
  for (const OutputTraits* traits : output_types())
    for (const OutputKey& key : traits->keys)
      for (const OutputTraits* other : output_types()) {
        const std::string text = cat("type=", other->name, ",dest=d,", key.name, "=");
        CAPTURE(text);
        CHECK_NOTHROW(parse_output(text, false));
      }
}

TEST_CASE("an image for an engine is not an archive on a terminal") {
  CHECK(parse_output("type=docker", true).dest.empty());
  CHECK_THROWS(parse_output("type=docker,dest=-", true));
}

}  // namespace cbuild::exporter
