// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "oci/descriptor.h"

/// Annotations by which the descriptor of a layer names a table of contents that lies in the layer's blob.
namespace cbuild::oci {

/// estargz: the digest of the table.
inline constexpr std::string_view kStargzTable = "containerd.io/snapshot/stargz/toc.digest";
/// estargz: the size of the uncompressed blob, which some readers want to know in advance.
inline constexpr std::string_view kStargzSize = "io.containers.estargz.uncompressed-size";
/// zstd:chunked: the digest of the compressed table, and "OFFSET:SIZE:UNCOMPRESSED SIZE:TYPE".
inline constexpr std::string_view kChunkedTable = "io.github.containers.zstd-chunked.manifest-checksum";
inline constexpr std::string_view kChunkedPlace = "io.github.containers.zstd-chunked.manifest-position";

/// The value of an annotation; empty if there is none.
std::string annotation(const Descriptor& descriptor, std::string_view name);
/// The tables that a descriptor claims the blob to have, by their digests; empty if it claims none.
std::string table_claim(const Descriptor& layer);
/// Of all annotations, those above.
Annotations table_annotations(const Annotations& all);

}  // namespace cbuild::oci
