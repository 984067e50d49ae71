// SPDX-License-Identifier: Apache-2.0
#include "oci/layer/table_codec.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "oci/layer/table_recorder.h"
#include "oci/layer/test_support.h"

namespace cbuild::oci::layer {
namespace {

using namespace test;

LayerTable some_table() {
  Member tagged = file_member("d/tagged", "text");
  tagged.entry.xattrs = {{"user.a", "1"}, {"user.b", std::string("\0x", 2)}};
  tagged.entry.mtime_s = -7;
  Member device = file_member("dev");
  device.entry.type = EntryType::block_device;
  device.entry.device_major = 4095;
  device.entry.device_minor = 1'048'575;
  TableOptions options;
  options.content_digests = true;
  return read_table(memory_file(make_tar({tagged, device, file_member("d/tail", mixed_bytes(90'000)), dir_member("e"),
                                          link_member("e/h", "d/tail", EntryType::hardlink), link_member("l", "d"),
                                          file_member("e/.wh.gone"), file_member("d/.wh..wh..opq")}))
                        .get(),
                    options, {});
}

/// `bytes` with the digest of the rest made right again.
std::string sealed(std::string bytes) {
  bytes.resize(bytes.size() - 32);
  const Digest digest = sha256(bytes);
  return bytes.append(reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size());
}

void check_refused(const std::string& bytes) {
  try {
    decode_table(bytes);
    FAIL("not refused");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::corrupt);
  }
}

TEST_CASE("a table comes back from its bytes, and equal tables have equal bytes") {
  const LayerTable table = some_table();
  const std::string bytes = encode_table(table);
  CHECK(decode_table(bytes) == table);
  CHECK(encode_table(decode_table(bytes)) == bytes);
  CHECK(bytes.size() < 700);
}

TEST_CASE("any change of the bytes of a table is seen") {
  const std::string bytes = encode_table(some_table());
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] ^= 0x10;
    check_refused(damaged);
    check_refused(bytes.substr(0, at));
  }
  check_refused(bytes + "x");
}

TEST_CASE("what a wrong table with a right digest says is consistent or refused") {
  const std::string bytes = encode_table(some_table());
  for (std::size_t at = 8; at + 32 < bytes.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(value);
      try {
        const LayerTable table = decode_table(sealed(changed));
        REQUIRE(decode_table(encode_table(table)) == table);
      } catch (const Error& error) {
        REQUIRE(error.code() == ErrorCode::corrupt);
      }
    }
    check_refused(sealed(bytes.substr(0, at) + std::string(32, 'x')));
  }
}

}  // namespace
}  // namespace cbuild::oci::layer
