// SPDX-License-Identifier: Apache-2.0
// An output as the user asked for it, from the flag to its execution. The parts that depend on the type are in the
// table of output_type.h.
#include "exporter/outputs.h"

#include <algorithm>

#include "base/csv.h"
#include "base/text.h"
#include "exporter/engine_load.h"
#include "exporter/output_keys.h"
#include "exporter/output_type.h"

namespace cbuild::exporter {
namespace {

Output parse_pairs(const std::vector<std::string>& fields) {
  Output output;
  bool typed = false;
  for (const std::string& field : fields) {
    const std::size_t equals = field.find('=');
    const std::string key = to_lower(trim(field.substr(0, equals)));
    typed = typed || key == "type";
    set_output_key(output, key, equals == std::string::npos ? std::string() : field.substr(equals + 1));
  }
  if (!typed) refuse_output("type is required", "for example --output type=oci,dest=image.tar");
  return output;
}

Output parse_path(const std::string& path) {
  if (path.empty()) refuse_output("empty value");
  Output output;
  output.type = path == "-" ? OutputType::tar : OutputType::local;
  output.dest = path;
  return output;
}

/// Docker's media types are older than these.
void check_media_types(const Output& output) {
  if (output.oci_media_types) return;
  if (output.image.compression == oci::layer::Compression::estargz)
    refuse_output("compression=estargz needs OCI media types", "leave out oci-mediatypes=false");
  if (output.oci_artifact == true)
    refuse_output("oci-artifact=true needs OCI media types", "leave out oci-mediatypes=false");
}

}  // namespace

Output parse_output(std::string_view text, bool stdout_is_terminal) {
  const std::vector<std::string> fields = csv_fields(text, "--output");
  const bool bare = fields.size() == 1 && fields[0].find('=') == std::string::npos;
  Output output = bare ? parse_path(fields[0]) : parse_pairs(fields);
  output.image.docker_media_types = !output.oci_media_types;
  check_media_types(output);
  const OutputTraits& traits = traits_of(output.type);
  if (!traits.can_push) output.push = false;  // a line of keys may be shared with outputs that can
  if (traits.complete != nullptr) traits.complete(output);
  if (stdout_is_terminal && output.dest == "-" && traits.place(output) == OutputPlace::file)
    refuse_output("refusing to write an archive to a terminal", "redirect stdout, or give dest=FILE");
  return output;
}

bool makes_image(const Output& output) { return traits_of(output.type).content == OutputContent::image; }

bool makes_archive(const Output& output) { return makes_image(output) && !can_push(output); }

bool makes_files(const Output& output) { return traits_of(output.type).content == OutputContent::files; }

bool is_directory(const Output& output) { return traits_of(output.type).place(output) == OutputPlace::directory; }

bool can_push(const Output& output) { return traits_of(output.type).can_push; }

bool is_found_by_manifest(const Output& output, const CancelSource* cancel) {
  return traits_of(output.type).place(output) == OutputPlace::engine && engine_finds_manifests(output, cancel);
}

void check_takes_index(const Output& output, const CancelSource* cancel) {
  const OutputTraits& traits = traits_of(output.type);
  if (traits.check_index != nullptr) traits.check_index(output, cancel);
}

void apply_epoch(const Output& output, const std::optional<std::int64_t>& epoch, ImageResult& result) {
  result.source_date_epoch = result.file_epoch = epoch;
  if (!output.epoch) return;
  result.file_epoch = output.epoch->value;
  if (!output.epoch->value) return;  // config and history keep the build's
  result.source_date_epoch = epoch ? std::min(*epoch, *output.epoch->value) : *output.epoch->value;
}

void export_result(const Output& output, const ExportSource& source, ExportContext& context) {
  traits_of(output.type).write({output, source, context});
}

}  // namespace cbuild::exporter
