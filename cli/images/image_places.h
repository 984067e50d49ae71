// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/images/registry_flags.h"
#include "exporter/copy/image_place.h"
#include "oci/platform.h"

namespace cbuild::cli {

/// The places that a command names, with the store and the registries behind them. An interrupt ends what they do.
class ImagePlaces {
 public:
  /// `texts`: all that the command names; decides whether the store is opened. Must run before any thread exists.
  ImagePlaces(const std::string& root, const RegistryFlags& flags, const std::vector<std::string>& texts);
  ~ImagePlaces();

  exporter::ImagePlace& read(const std::string& text) { return open(text, exporter::PlaceUse::read); }
  exporter::ImagePlace& write(const std::string& text) { return open(text, exporter::PlaceUse::write); }
  /// Where write() would write, to be read: a name without a scheme is one of a registry, whose mirrors are not asked.
  exporter::ImagePlace& read_target(const std::string& text);
  /// NAME for the same kind of place as `like`: the store or a registry. Throws Error{usage} for others.
  exporter::ImagePlace& write_like(const std::string& name, const exporter::ImagePlace& like);
  /// What was written into the store survives a power loss.
  void settle();

 private:
  struct Impl;
  exporter::ImagePlace& open(const std::string& text, exporter::PlaceUse use);
  std::unique_ptr<Impl> impl_;
};

/// All values of --platform. Throws Error{usage}.
std::vector<oci::Platform> wanted_platforms(const std::vector<std::string>& texts);

}  // namespace cbuild::cli
