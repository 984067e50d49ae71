// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "oci/platform.h"

namespace cbuild::oci {

/// Docker's health check; durations in nanoseconds, 0 = inherit.
struct Healthcheck {
  std::vector<std::string> test;
  std::int64_t interval_ns = 0, timeout_ns = 0, start_period_ns = 0, start_interval_ns = 0;
  std::int64_t retries = 0;

  bool operator==(const Healthcheck&) const = default;
};

/// The "config" object: image-spec config.md plus the fields Docker adds (Healthcheck, OnBuild, Shell,
/// ArgsEscaped).
struct ContainerConfig {
  std::string user, working_dir, stop_signal;
  std::vector<std::string> env;  ///< "K=V", in order
  std::optional<std::vector<std::string>> entrypoint, cmd, shell;
  std::set<std::string> exposed_ports, volumes;
  std::map<std::string, std::string> labels;
  std::vector<std::string> on_build;
  std::optional<Healthcheck> healthcheck;
  bool args_escaped = false;

  bool operator==(const ContainerConfig&) const = default;
};

/// One entry of "history". `created` is RFC 3339 text or empty.
struct HistoryEntry {
  std::string created, created_by, author, comment;
  bool empty_layer = false;

  bool operator==(const HistoryEntry&) const = default;
};

/// An image configuration (image-spec config.md). Fields this struct does not know are kept in `extra` as
/// canonical JSON text per key and written back, so that a base's own additions survive.
struct ImageConfig {
  std::string created, author;
  Platform platform;
  ContainerConfig config;
  std::vector<Digest> diff_ids;
  std::vector<HistoryEntry> history;
  std::map<std::string, std::string> extra;

  bool operator==(const ImageConfig&) const = default;
};

/// Throws Error{corrupt} for JSON that is not an image configuration. Bounded: refuses over 8 MiB or 100,000
/// layers.
ImageConfig parse_image_config(std::string_view json);
/// Deterministic JSON, keys in the order docker writes them.
std::string to_json(const ImageConfig& config);

/// Chain id of the first n diff ids (config.md, "Layer ChainID"); the empty digest for none.
Digest chain_id(const std::vector<Digest>& diff_ids);

}  // namespace cbuild::oci
