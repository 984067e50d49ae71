// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "exporter/outputs.h"

namespace cbuild::exporter {

/// The form of a result that an output takes.
enum class OutputContent { nothing, files, image };

/// Where an output goes.
enum class OutputPlace {
  names,      ///< under its names, in the store and in registries; Output::dest is not used
  file,       ///< Output::dest, "-" for stdout
  directory,  ///< Output::dest
  engine,     ///< into an engine, through its client
};

/// One key=value of --output.
struct OutputKey {
  std::string_view name;
  /// Throws Error{usage} for a wrong value.
  void (*set)(Output& output, std::string_view key, const std::string& value);
};

/// One output, with the result in that form.
struct OutputJob {
  const Output& output;
  const ExportSource& source;
  ExportContext& context;
};

/// One output type, as a row of the table; each is in output_NAME.cc. All that depends on the type is asked here.
struct OutputTraits {
  OutputType type;
  std::string_view name;  ///< as type= has it
  OutputContent content = OutputContent::nothing;
  bool can_push = false;  ///< --push is for it
  OutputPlace (*place)(const Output& output);
  /// Its own keys, in addition to those of all outputs and, for an image, of all images.
  std::span<const OutputKey> keys = {};
  /// Fills in fields that the keys left open; throws Error{usage} for keys that do not go together. Null: nothing to
  /// do.
  void (*complete)(Output& output) = nullptr;
  /// Throws Error{usage} if the output cannot take an index of several platforms. Null: it can.
  void (*check_index)(const Output& output, const CancelSource* cancel) = nullptr;
  /// Carries it out. Throws Error.
  void (*write)(const OutputJob& job);
};

extern const OutputTraits kCacheOnlyOutput, kDockerOutput, kImageOutput, kLocalOutput, kOciOutput, kRegistryOutput,
    kTarOutput;

/// All types, in the order of help texts.
std::span<const OutputTraits* const> output_types();
const OutputTraits& traits_of(OutputType type);
/// Null for a name that no type has.
const OutputTraits* find_output_type(std::string_view name);

}  // namespace cbuild::exporter
