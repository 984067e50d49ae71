// SPDX-License-Identifier: Apache-2.0
#include "api/llb/definition.h"

#include <doctest/doctest.h>

#include "api/llb/llb_fixture.h"
#include "base/error.h"

namespace cbuild::api {
namespace {

/// The message of the Error that decoding throws; empty for none.
std::string refusal(const pb::Definition& definition) {
  try {
    decode(definition);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::input);
    return error.what();
  }
  return {};
}

TEST_CASE("operations come after their inputs, those that the result does not need are left out") {
  TestDefinition def;
  const std::string image = def.add(source_message("docker-image://alpine"));
  def.add(source_message("local://unused"));
  const std::string run = def.add(exec_message({"make", "all"}), {image});
  def.finish(run);
  const Decoded decoded = decode(def.pb);
  REQUIRE(decoded.ops.size() == 2);
  CHECK(decoded.ops[0].name == "docker-image://alpine");
  CHECK(decoded.ops[1].name == "make all");
  CHECK(decoded.ops[1].inputs == std::vector<std::size_t>{0});
}

TEST_CASE("the order of the operations in the definition does not count") {
  TestDefinition def;
  const std::string image = def.add(source_message("docker-image://alpine"));
  const std::string run = def.add(exec_message({"make"}), {image});
  def.pb.mutable_def()->SwapElements(0, 1);
  def.finish(run);
  CHECK(decode(def.pb).ops.at(1).name == "make");
}

TEST_CASE("names of file actions, merges and differences") {
  TestDefinition def;
  const std::string a = def.add(mkfile_message("/a", "x")), b = def.add(mkfile_message("/b", "y"));
  const std::string merged = def.add(merge_message(2), {a, b});
  const std::string diff = def.add(diff_message(-1, 0), {merged});
  def.finish(diff);
  CHECK(decode(def.pb).ops.back().name == "diff scratch -> (merge (mkfile /a, mkfile /b))");
}

TEST_CASE("the client's name and places come with an operation") {
  TestDefinition def;
  const std::string made = def.add(mkfile_message("/a", "x"));
  (*(*def.pb.mutable_metadata())[made].mutable_description())["llb.customname"] = "first file";
  def.place(made, "build.hcl", "one\ntwo\nthree\n", 2, 3);
  def.finish(made);
  const Decoded decoded = decode(def.pb);
  REQUIRE(decoded.ops.size() == 1);
  CHECK(decoded.ops[0].name == "first file");
  REQUIRE(decoded.ops[0].spans.size() == 1);
  const Span& span = decoded.ops[0].spans[0];
  CHECK(span.source->text().substr(span.begin, span.end - span.begin) == "two\nthree");
  CHECK(place_of(decoded.ops[0]) == "first file (build.hcl:2)");
}

TEST_CASE("a definition that is not one graph with one result is refused") {
  TestDefinition missing;
  missing.finish(sha256("nothing").str());
  CHECK(refusal(missing.pb).find("which is not in the definition") != std::string::npos);

  TestDefinition open_end;
  open_end.add(mkfile_message("/a", "x"));
  CHECK(refusal(open_end.pb).find("the last operation must have one input") != std::string::npos);

  TestDefinition garbage;
  garbage.pb.add_def("\xff\xff\xff");
  CHECK(refusal(garbage.pb).find("is not a protobuf message of type pb.Op") != std::string::npos);

  TestDefinition negative;
  const std::string made = negative.add(mkfile_message("/a", "x"));
  negative.finish(made, -1);
  CHECK(refusal(negative.pb).find("output -1 of an input") != std::string::npos);
  CHECK(decode(pb::Definition()).ops.empty());
}

TEST_CASE("what is not known is refused with the name of the operation") {
  TestDefinition field;
  pb::Op with_field = mkfile_message("/a", "x");
  with_field.mutable_file()
      ->mutable_actions(0)
      ->GetReflection()
      ->MutableUnknownFields(with_field.mutable_file()->mutable_actions(0))
      ->AddVarint(99, 1);
  field.finish(field.add(with_field));
  CHECK(refusal(field.pb) == "mkfile /a: file.actions: unknown field 99: this builder does not know it");

  TestDefinition value;
  pb::Op with_value = exec_message({"make"});
  with_value.mutable_exec()->set_network(static_cast<pb::NetMode>(7));
  value.finish(value.add(with_value));
  CHECK(refusal(value.pb) == "make: exec.network: unknown value 7: this builder does not know it");

  TestDefinition capability;
  const std::string made = capability.add(mkfile_message("/a", "x"));
  (*(*capability.pb.mutable_metadata())[made].mutable_caps())["file.fly"] = true;
  capability.finish(made);
  CHECK(refusal(capability.pb).find("needs \"file.fly\", which this builder does not have") != std::string::npos);
  (*(*capability.pb.mutable_metadata())[made].mutable_caps()) = {};
  (*(*capability.pb.mutable_metadata())[made].mutable_caps())["file.base"] = true;
  CHECK(refusal(capability.pb).empty());
}

TEST_CASE("names do not grow without bounds") {
  TestDefinition def;
  std::string at = def.add(mkfile_message("/a", "x"));
  for (int i = 0; i < 40; ++i) at = def.add(merge_message(2), {at, at});
  def.finish(at);
  CHECK(decode(def.pb).ops.back().name.size() < 2100);
}

}  // namespace
}  // namespace cbuild::api
