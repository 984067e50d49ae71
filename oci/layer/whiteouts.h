// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>

#include "oci/layer/resolved_dirs.h"
#include "oci/layer/unpack.h"

namespace cbuild::oci::layer {

/// The meaning of a name in a layer.
enum class Marker {
  none,      ///< itself
  whiteout,  ///< a deletion
  opaque,    ///< the deletion of all that is in its directory
  ignored,   ///< AUFS's book-keeping
};

/// By the name alone; `path` is clean. Throws Error{corrupt} for whiteouts of ".", ".." and nothing.
Marker marker_of(std::string_view path);

/// Carries out the whiteouts of one layer. They hide entries of the layers below and nothing of their own layer, in
/// whatever order the archive has them (image-spec, layer.md, "Whiteouts").
class WhiteoutRules {
 public:
  WhiteoutRules(Whiteouts mode, bool user_xattr) : mode_(mode), user_xattr_(user_xattr) {}

  /// As marker_of(), but none where whiteouts are kept.
  Marker marker_at(std::string_view path) const { return mode_ == Whiteouts::keep ? Marker::none : marker_of(path); }
  /// Carries out a whiteout or opaque marker `name` in `parent`. True if something may have been removed from the
  /// target.
  bool apply(Marker marker, const TargetDir& parent, const std::string& name);

  /// Says that `name` in `parent` is of this layer.
  void note_made(const TargetDir& parent, const std::string& name);
  /// Whether a whiteout of this layer stands there, so that a directory in its place must be opaque.
  bool stands_at(const TargetDir& parent, const std::string& name) const;
  void make_opaque(int dirfd) const;

 private:
  void hide(const TargetDir& parent, const std::string& name) const;
  void remove_lower(const TargetDir& parent, const std::string& name);
  void remove_lower_children(const TargetDir& dir);
  bool is_own(const TargetDir& parent, const std::string& name) const;

  Whiteouts mode_;
  bool user_xattr_;
  std::unordered_set<std::string> own_;  ///< inode of the parent and name; kept for flat targets only
};

}  // namespace cbuild::oci::layer
