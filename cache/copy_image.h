// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/digest.h"
#include "cache/content/content_file.h"
#include "cache/content/stat_table.h"
#include "cache/kept_table.h"
#include "cache/mounted_seal.h"
#include "cache/store.h"
#include "oci/layer/layer_table.h"

/// Layers of copied files that are written as an image and mounted (mounted_layer.h): the contents lie one after
/// another in a file, and those that an earlier copy wrote lie in its files, which the new layer has as hard links.
/// See docs/decisions/mounted-layers.md.
namespace cbuild::cache {

/// Whether a copy of so many files should be written so: this process may mount, the kernel can, and it saves more than
/// a mount in every build costs.
bool should_write_image(Store& store, std::size_t files);

/// A file that was copied: the stat data of its source by which it is known, and where its bytes lie, in one piece, in
/// the contents of the layer.
struct ContentPlace {
  StatId source;
  std::uint64_t at = 0;

  bool operator==(const ContentPlace&) const = default;
};

/// Such a layer, finished.
struct CopiedLayer {
  Staging staging;
  SharedTable table;
  Digest series;
};

/// Such a layer under construction.
class CopyImage {
 public:
  /// `series` tells copies apart; the last layer that was noted under it is the earlier one.
  CopyImage(Store& store, const Digest& series);

  /// Where the earlier layer has the bytes of a file that has these stat data.
  std::optional<std::uint64_t> find(const StatId& source) const;
  /// Takes over those of the earlier layer's files that are worth it, for pieces at `wanted` places. A file that is
  /// mostly out of use is left to that layer, and so are the least used of many.
  struct Wanted {
    std::uint64_t at = 0, size = 0;
  };
  void take_over(std::span<const Wanted> wanted);
  /// The place in this layer of a piece of the earlier one; nullopt if its file was not taken over.
  std::optional<std::uint64_t> taken(std::uint64_t at) const;

  /// New contents, and where they begin. After take_over().
  ContentFile& contents() { return contents_; }
  std::uint64_t contents_begin() const { return begin_; }

  /// Writes the image of `table`, whose extents are in the contents, and seals it. Throws Error{unsupported} if the
  /// layer cannot be shown so.
  CopiedLayer finish(oci::layer::LayerTable table, std::vector<ContentPlace> places);

 private:
  struct Earlier {
    UniqueFd file;
    SealedFile sealed;
    std::uint64_t begin = 0;           ///< in the earlier layer
    std::optional<std::uint64_t> now;  ///< in this one
  };
  void open_earlier(const Digest& layer);
  const Earlier* earlier_at(std::uint64_t at) const;
  bool link(Earlier& file, std::size_t number);
  std::string write_image(const oci::layer::LayerTable& table, const Seal& seal) const;

  Store& store_;
  const Digest series_;
  Staging staging_;
  UniqueFd dir_, earlier_dir_;
  std::vector<ContentPlace> places_;  ///< of the earlier layer, in their order
  std::vector<Earlier> earlier_;
  Seal seal_;
  std::uint64_t begin_ = 0;
  ContentFile contents_;
};

/// Publishes the layer as `layer` on `parent`, and notes it, best effort, as the last of its series.
Chain add_copied_layer(Store& store, const Digest& parent, Layer layer, CopiedLayer copied, const Digest& identity);

}  // namespace cbuild::cache
