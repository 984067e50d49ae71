// SPDX-License-Identifier: Apache-2.0
// From hostile bytes to an image, without mounting it. The first byte gives the kind of the others: an archive, or a
// table, whose digest is made right. A table that is believed has one encoding, and an image reads only within its
// archive.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/digest.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/sys.h"
#include "oci/erofs/erofs_image.h"
#include "oci/layer/table_codec.h"
#include "oci/layer/table_recorder.h"

namespace {

using namespace cbuild;
using namespace cbuild::oci;

layer::LayerTable table_of_archive(std::string_view archive) {
  UniqueFd fd(memfd_create("erofs-fuzz", MFD_CLOEXEC));
  sys::write_all(fd.get(), archive);
  lseek(fd.get(), 0, SEEK_SET);
  layer::TableOptions options;
  options.content_digests = true;
  layer::PassOptions pass;
  options.max_bytes = pass.max_bytes = 1 << 20;
  return layer::read_table(fd.get(), options, pass);
}

layer::LayerTable table_of_bytes(std::string bytes) {
  const Digest digest = sha256(bytes);
  bytes.append(reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size());
  return layer::decode_table(bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data + 1), size - 1);
  try {
    const layer::LayerTable table =
        data[0] % 2 == 0 ? table_of_archive(input) : table_of_bytes(std::string("cbtable\x01", 8).append(input));
    const std::string bytes = layer::encode_table(table);
    CBUILD_CHECK(layer::decode_table(bytes) == table);
    const std::string image = erofs::make_image(table, [&](std::uint64_t offset, std::span<std::byte> piece) {
      CBUILD_CHECK(offset <= table.archive_size && piece.size() <= table.archive_size - offset);
    });
    CBUILD_CHECK(image.size() % 4096 == 0);
  } catch (const Error& error) {
    CBUILD_CHECK(error.code() == ErrorCode::corrupt || error.code() == ErrorCode::unsupported);
  }
  return 0;
}
