// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "frontend/stages/scope.h"
#include "oci/image_config.h"

/// The texts of "history" as BuildKit's frontend writes them, byte for byte: they are part of the config
/// and with that of the image's digest.
namespace cbuild::frontend {

/// Whether an entry stands for a layer of its own.
enum class Layer { none, own };

/// Appends an entry with the frontend's comment; `epoch` gives its time, else that is left to the exporter.
void add_history(oci::ImageConfig& image, std::string created_by, Layer layer,
                 const std::optional<std::int64_t>& epoch);

/// "[a b]", as Go prints a list of strings.
std::string list_text(std::span<const std::string> words);
/// "[\"a\" \"b\"]", as Go quotes a list of strings.
std::string quoted_list_text(std::span<const std::string> words);

/// "RUN |2 A=1 B= /bin/sh -c make # buildkit": the declared ARGs once each with the values the environment
/// has now.
std::string run_created_by(std::span<const std::string> argv, const StageScope& scope);
/// "HEALTHCHECK {Test:[CMD true] Interval:5m0s ...}".
std::string healthcheck_created_by(const oci::Healthcheck& check);

}  // namespace cbuild::frontend
