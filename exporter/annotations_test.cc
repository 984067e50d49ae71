// SPDX-License-Identifier: Apache-2.0
#include "exporter/annotations.h"

#include <doctest/doctest.h>

#include "base/error.h"

namespace cbuild::exporter {
namespace {

using Level = AnnotationLevel;
using Annotations = std::vector<Annotation>;

const oci::Platform kAmd64 = *oci::parse_platform("linux/amd64"), kArm64 = *oci::parse_platform("linux/arm64");

}  // namespace

TEST_CASE("--annotation names levels and platforms before the key") {
  CHECK(parse_annotation("a=b") == Annotations{{Level::manifest, {}, "a", "b"}});
  CHECK(parse_annotation("com.example=x=y:z") == Annotations{{Level::manifest, {}, "com.example", "x=y:z"}});
  CHECK(parse_annotation("a=") == Annotations{{Level::manifest, {}, "a", ""}});
  CHECK(parse_annotation("manifest-descriptor:a=b") == Annotations{{Level::manifest_descriptor, {}, "a", "b"}});
  CHECK(parse_annotation("index,manifest[linux/arm64]:a:b=c") ==
        Annotations{{Level::index, {}, "a:b", "c"}, {Level::manifest, kArm64, "a:b", "c"}});
  CHECK(parse_annotation("index-descriptor:a=b") == Annotations{{Level::index_descriptor, {}, "a", "b"}});
}

TEST_CASE("wrong annotations are refused") {
  CHECK_THROWS_WITH_AS(parse_annotation("a"), "--annotation: 'a' is not KEY=VALUE", Error);
  CHECK_THROWS_WITH_AS(parse_annotation("=b"), "--annotation: '=b' has no key", Error);
  CHECK_THROWS_WITH_AS(parse_annotation("manifest:=b"), "--annotation: 'manifest:=b' has no key", Error);
  CHECK_THROWS_WITH_AS(parse_annotation(":a=b"), "--annotation: ':a=b' has an empty level", Error);
  CHECK_THROWS_WITH_AS(parse_annotation("bad:a=b"), "unknown annotation level 'bad'", Error);
  CHECK_THROWS_WITH_AS(parse_annotation("manifest[plat:a=b"), "annotation 'manifest[plat' lacks a closing bracket",
                       Error);
  CHECK_THROWS_WITH_AS(parse_annotation("manifest[no such]:a=b"), "annotation: unknown platform 'no such'", Error);
  try {
    parse_annotation("manfest:a=b");
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::usage);
    CHECK(error.hint() == "did you mean manifest?");
  }
}

TEST_CASE("keys of --output name the same places") {
  CHECK(parse_annotation_key("annotation.a.b", "v") == Annotation{Level::manifest, {}, "a.b", "v"});
  CHECK(parse_annotation_key("annotation[linux/arm64].a", "v") == Annotation{Level::manifest, kArm64, "a", "v"});
  CHECK(parse_annotation_key("annotation-index.a", "v") == Annotation{Level::index, {}, "a", "v"});
  CHECK(parse_annotation_key("annotation-manifest-descriptor[linux/amd64].a", "v") ==
        Annotation{Level::manifest_descriptor, kAmd64, "a", "v"});
  CHECK_FALSE(parse_annotation_key("annotations.a", "v"));
  CHECK_FALSE(parse_annotation_key("annotation", "v"));
  CHECK_FALSE(parse_annotation_key("annotation.", "v"));
  CHECK_FALSE(parse_annotation_key("name", "v"));
  CHECK_THROWS_WITH_AS(parse_annotation_key("annotation-indes.a", "v"), "unknown annotation level 'indes'", Error);
}

TEST_CASE("an image of one platform holds annotations of its manifest and its descriptor") {
  const auto refusal = [](const char* text, bool oci_types) {
    try {
      check_annotations(parse_annotation(text), {{kAmd64}, false, oci_types});
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::usage);
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  CHECK(refusal("a=b", true) == "accepted");
  CHECK(refusal("a=b", false) == "accepted");
  CHECK(refusal("manifest-descriptor[linux/amd64]:a=b", true) == "accepted");
  CHECK(refusal("manifest[x86_64]:a=b", true) == "accepted");
  CHECK(refusal("index:a=b", true) == "annotation a: an image of one platform has no index");
  CHECK(refusal("manifest,index-descriptor:a=b", true) ==
        "annotation a: an image of one platform has no index-descriptor");
  CHECK(refusal("manifest[linux/arm64]:a=b", true) == "annotation a: no image for linux/arm64 is built");
  CHECK(refusal("manifest-descriptor:a=b", false) == "annotation a: level manifest-descriptor needs OCI media types");
}

TEST_CASE("a level has its own annotations, the last of a key") {
  Annotations all = parse_annotation("manifest,manifest-descriptor:a=1");
  all.push_back({Level::manifest, kAmd64, "a", "2"});
  all.push_back({Level::manifest, {}, "b", "3"});
  CHECK(annotations_of(all, Level::manifest, kAmd64) == oci::Annotations{{"a", "2"}, {"b", "3"}});
  CHECK(annotations_of(all, Level::manifest, kArm64) == oci::Annotations{{"a", "1"}, {"b", "3"}});
  CHECK(annotations_of(all, Level::manifest_descriptor, kArm64) == oci::Annotations{{"a", "1"}});
  CHECK(index_annotations_of(all, Level::index).empty());
}

TEST_CASE("an annotation of one platform wins over one of all, whatever their order") {
  const Annotations all = {{Level::manifest, kArm64, "a", "arm"}, {Level::manifest, {}, "a", "all"}};
  CHECK(annotations_of(all, Level::manifest, kArm64) == oci::Annotations{{"a", "arm"}});
  CHECK(annotations_of(all, Level::manifest, kAmd64) == oci::Annotations{{"a", "all"}});
}

TEST_CASE("an index takes annotations of every level, and of the platforms it has") {
  const auto check = [](const char* text) {
    check_annotations(parse_annotation(text), {{kAmd64, kArm64}, true, true});
  };
  CHECK_NOTHROW(check("index,index-descriptor,manifest,manifest-descriptor:a=b"));
  CHECK_NOTHROW(check("manifest[linux/arm64],manifest-descriptor[linux/amd64]:a=b"));
  CHECK_THROWS_WITH_AS(check("manifest[linux/arm/v7]:a=b"), "annotation a: no image for linux/arm/v7 is built", Error);
  CHECK(index_annotations_of(parse_annotation("index,index-descriptor:a=b"), Level::index) ==
        oci::Annotations{{"a", "b"}});
}

}  // namespace cbuild::exporter
