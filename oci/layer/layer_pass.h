// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>

#include "base/cancel.h"
#include "oci/compression/byte_source.h"
#include "oci/compression/compression.h"
#include "oci/descriptor.h"
#include "oci/layer/tar_reader.h"
#include "oci/layer/unpack.h"

namespace cbuild::oci::layer {

struct PassOptions {
  std::uint64_t max_bytes = 1ull << 42;
  const CancelSource* cancel = nullptr;
  std::function<void(std::uint64_t bytes_read)> progress;
  ByteSink uncompressed;                 ///< receives all bytes of the archive, what is behind its end included
  const Descriptor* expected = nullptr;  ///< an empty digest: somebody else verifies it
  const Digest* expected_diff_id = nullptr;
  std::function<void()> before_chunk;  ///< called before the stream goes on; what is kept of it should end soon
};

/// Receives a member; its content is read from the reader, or left.
using TakeMember = std::function<void(const TarMember& member, TarReader& reader)>;

/// The one pass over the blob of a layer: decodes it, digests both forms, gives each member to `take`, and verifies
/// what is expected at the end. Throws as unpack(); failures of `take` get the name of the member.
UnpackResult read_members(ByteSource from, const PassOptions& options, const TakeMember& take);

}  // namespace cbuild::oci::layer
