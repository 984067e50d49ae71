// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/process/threads.h"
#include "base/sys.h"
#include "base/text.h"
#include "oci/blob_store.h"

/// For tests.
namespace cbuild::oci::testing {

inline void write_text(BlobWriter& writer, std::string_view text) { writer.write(std::as_bytes(std::span(text))); }

inline Digest commit_text(BlobStore& blobs, std::string_view text) {
  const auto writer = blobs.create();
  write_text(*writer, text);
  return writer->commit(sha256(text), text.size());
}

inline ErrorCode blob_error(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::internal;  // none
}

/// The parts of the suite; a test case runs them through check_blob_store().
inline void check_commits(BlobStore& blobs) {
  const std::string text(300'000, 'x');
  const auto writer = blobs.create();
  for (std::size_t at = 0; at < text.size(); at += 70'000)
    write_text(*writer, std::string_view(text).substr(at, 70'000));
  CHECK_FALSE(blobs.size(sha256(text)));
  CHECK(writer->commit() == sha256(text));
  CHECK(blobs.size(sha256(text)) == text.size());
  CHECK(read_blob(blobs, sha256(text)) == text);
  CHECK(commit_text(blobs, "") == sha256(""));
  CHECK(blobs.size(sha256("")) == 0);
  CHECK(read_blob(blobs, sha256("")).empty());
}

inline void check_wrong_blobs(BlobStore& blobs) {
  const auto wrong_digest = blobs.create();
  write_text(*wrong_digest, "text");
  CHECK(blob_error([&] { wrong_digest->commit(sha256("other"), 4); }) == ErrorCode::corrupt);
  const auto wrong_size = blobs.create();
  write_text(*wrong_size, "text");
  CHECK(blob_error([&] { wrong_size->commit(sha256("text"), 5); }) == ErrorCode::corrupt);
  for (const char* text : {"text", "other"}) CHECK_FALSE(blobs.size(sha256(text)));
}

inline void check_missing_blobs(BlobStore& blobs) {
  commit_text(blobs, "another");
  CHECK_FALSE(blobs.size(sha256("missing")));
  CHECK(blob_error([&] { blobs.open(sha256("missing")); }) == ErrorCode::not_found);
  CHECK(blob_error([&] { read_blob(blobs, sha256("missing")); }) == ErrorCode::not_found);
}

inline void check_readers(BlobStore& blobs) {
  commit_text(blobs, "text");
  commit_text(blobs, "text");  // again: it is there already
  const UniqueFd one = blobs.open(sha256("text")), two = blobs.open(sha256("text"));
  CHECK(sys::read_all(one.get(), 10) == "text");
  CHECK(sys::read_all(two.get(), 10) == "text");
}

inline void check_writers_at_once(BlobStore& blobs) {
  run_at_once(16, 4, [&](std::size_t i) { commit_text(blobs, cat("text ", i % 5)); });
  for (int i = 0; i < 5; ++i) CHECK(read_blob(blobs, sha256(cat("text ", i))) == cat("text ", i));
}

/// The conformance suite of BlobStore. `blobs` is empty, and each subcase has one of its own: call it from a test case
/// that makes the store.
inline void check_blob_store(BlobStore& blobs) {
  SUBCASE("a blob is there when it is committed, and whole") { check_commits(blobs); }
  SUBCASE("a blob of another digest or size than expected is refused") { check_wrong_blobs(blobs); }
  SUBCASE("a blob that is missing is not found") { check_missing_blobs(blobs); }
  SUBCASE("a writer that is abandoned leaves nothing") {
    write_text(*blobs.create(), "text");
    CHECK_FALSE(blobs.size(sha256("text")));
    CHECK(blob_error([&] { blobs.open(sha256("text")); }) == ErrorCode::not_found);
  }
  SUBCASE("a blob is written twice and read twice") { check_readers(blobs); }
  SUBCASE("several writers work at once") { check_writers_at_once(blobs); }
}

}  // namespace cbuild::oci::testing
