// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "base/progress.h"
#include "cache/unpacker.h"
#include "exporter/annotations.h"
#include "exporter/early_uploads.h"
#include "exporter/engine_address.h"
#include "exporter/image_builder.h"
#include "exporter/image_set.h"
#include "oci/registry/client.h"
#include "supply/sign/key.h"

namespace cbuild::exporter {

/// The values of type=; output_type.h has a row for each.
enum class OutputType { local, tar, oci, docker, image, registry, cacheonly };

/// One --output, parsed. `dest` "-" is stdout.
struct Output {
  OutputType type = OutputType::image;
  std::string dest;
  std::string target;              ///< stage whose result it takes; empty: of the build's only target, or of each
  std::vector<std::string> names;  ///< the -t names of the build; else from name=
  std::vector<std::string> replaced_names;  ///< from name=, in the place of which -t came
  bool push = false, push_by_digest = false, insecure = false, as_tar = true, oci_media_types = true;
  bool keep = true;             ///< store=: under its names in the store
  bool name_canonical = false;  ///< also under NAME@DIGEST
  std::string dangling_prefix;  ///< also under PREFIX@DIGEST
  bool dangling_only = false;   ///< that only without another name
  std::string engine_context;   ///< docker without dest: which engine, as docker's client names it, or its address
  EngineAddress engine;         ///< docker without dest: found by that name
  ImageOptions image;
  bool delete_extra = false;           ///< local: mode=delete
  std::optional<bool> platform_split;  ///< local, tar: each platform's files into a directory of its name; unset: where
                                       ///< there are several
  bool attestation_inline = false;     ///< takes attestations that nobody asked for
  std::optional<bool> oci_artifact;    ///< their manifest is an artifact with a subject; unset: yes
  bool referrers = false;              ///< they are referrers of the image; else in an index next to it
  std::string attestation_prefix;      ///< local, tar: before the names of their files
  /// source-date-epoch=: instead of the build's SOURCE_DATE_EPOCH for times of files; an empty value is none.
  struct Epoch {
    std::optional<std::int64_t> value;
    bool operator==(const Epoch&) const = default;
  };
  std::optional<Epoch> epoch;
  std::vector<Annotation> annotations;

  bool operator==(const Output&) const = default;
};

/// Whether the output goes into an engine that finds an image by its manifest's digest, and not by its config's.
bool is_found_by_manifest(const Output& output, const CancelSource* cancel);

/// Whether the output is an image, and not files or nothing.
bool makes_image(const Output& output);
/// Whether the output is a file or directory of images, whose entries say when the image was made.
bool makes_archive(const Output& output);
/// Whether the output is made of the files of the result, and not of its layers' blobs.
bool makes_files(const Output& output);
/// Whether Output::dest is a directory, and not a file or unused.
bool is_directory(const Output& output);
/// Whether --push is for this output.
bool can_push(const Output& output);

/// Which times this output gives to a build with (or without) a SOURCE_DATE_EPOCH.
void apply_epoch(const Output& output, const std::optional<std::int64_t>& epoch, ImageResult& result);

/// Parses "-o VALUE": CSV of key=value, or a bare path (local), or "-" (tar to stdout). Throws Error{usage} with a
/// suggestion for unknown keys and types, and for stdout that is a terminal.
Output parse_output(std::string_view text, bool stdout_is_terminal);

struct ExportContext {
  cache::Store& store;
  oci::registry::Client* registry = nullptr;  ///< made on demand by the wiring; needed for push
  cache::BlobFetcher fetch_blob;              ///< for lazy base layers that a file output needs
  ProgressSink* progress = nullptr;
  TaskId task = 0;
  const CancelSource* cancel = nullptr;
  EarlyUploads* early = nullptr;               ///< what was sent to registries before
  const supply::SigningKey* signer = nullptr;  ///< signs what is pushed
};

/// Throws Error{usage} if the output cannot take an index of several platforms. An engine is asked, through its client.
void check_takes_index(const Output& output, const CancelSource* cancel);

/// The result of a target as an output takes it.
struct ExportSource {
  ImageSet images;                     ///< empty for an output of files
  std::vector<ImageResult> platforms;  ///< one for each platform, in the order they were asked for; at least one
  bool several = false;                ///< a result of several platforms was asked for, also if it has only one
};

/// Carries out one output. Archives are OutputFiles: whole or not there, unless the destination is not a plain file.
/// Throws Error.
void export_result(const Output& output, const ExportSource& source, ExportContext& context);

}  // namespace cbuild::exporter
