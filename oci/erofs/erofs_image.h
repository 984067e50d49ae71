// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "oci/layer/layer_table.h"

namespace cbuild::oci::erofs {

/// Fills `bytes` from an offset of the uncompressed archive.
using ReadArchive = std::function<void(std::uint64_t offset, std::span<std::byte> bytes)>;

/// An EROFS image that shows the tree of a layer as unpack() would make it for an overlay, with trusted.overlay.opaque
/// and devices 0:0 for whiteouts. The content of files is not in it, but on its device 1, the archive; only pieces that
/// do not lie there in whole blocks are copied, read by `read`. An archive in several files is devices 1, 2, ...:
/// `parts` has the size of each, whole blocks of 512 bytes, and no piece lies in two of them; empty: it is one file. A
/// function of the table, the sizes and the copied pieces alone. Throws Error{unsupported} for the few layers that
/// EROFS cannot show: ACLs, xattrs of 64 KiB, more metadata than memory should be given to.
std::string make_image(const layer::LayerTable& table, const ReadArchive& read,
                       std::span<const std::uint64_t> parts = {});

}  // namespace cbuild::oci::erofs
