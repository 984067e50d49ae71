// SPDX-License-Identifier: Apache-2.0
#include "cli/images/copy_command.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <mutex>

#include "base/error.h"
#include "base/text.h"
#include "cli/flags/flags.h"
#include "cli/images/image_places.h"
#include "cli/report/exit_codes.h"
#include "exporter/copy/image_copy.h"

namespace cbuild::cli {
namespace {

struct CopyLine {
  std::string root, source;
  std::vector<std::string> names, platforms;
  bool referrers = false, quiet = false;
  RegistryFlags registry;
};

std::string summary(const exporter::ImagePlace& to, const exporter::CopyResult& result) {
  if (result.was_there) return cat(to.name(), " has it already");
  return cat(to.name(), ": ", result.moved_blobs, " of ", result.blobs, " blobs moved (",
             format_size(result.moved_bytes), ")",
             result.referrers == 0 ? "" : cat(", ", result.referrers, " signatures and attestations"));
}

/// Copies and tells of it: lines of progress and the summary on stderr, the digest on stdout.
void copy_and_tell(exporter::ImagePlace& from, exporter::ImagePlace& to, const CopyLine& line) {
  std::mutex mutex;  // one line at a time
  exporter::CopyOptions options;
  options.platforms = wanted_platforms(line.platforms);
  options.referrers = line.referrers;
  if (!line.quiet)
    options.told = [&](const oci::Descriptor& blob, bool moved) {
      const std::lock_guard lock(mutex);
      std::cerr << blob.digest.str() << ' ' << format_size(blob.size) << (moved ? "" : " (not moved)") << '\n';
    };
  const exporter::CopyResult result = exporter::copy_image(from, to, options);
  if (!line.quiet) std::cerr << sanitize_for_terminal(summary(to, result)) << '\n';
  std::cout << result.image.digest.str() << '\n';
}

void add_copy_flags(CLI::App& app, CopyLine& line) {
  app.add_option("--platform", line.platforms, "Only these platforms of an image of several")->allow_extra_args(false);
  app.add_flag("--referrers", line.referrers, "Copy signatures, attestations and other artifacts that name the image");
  app.add_flag("-q,--quiet", line.quiet, "Print only the digest");
  line.registry.add_to(app);
}

}  // namespace

int copy_command(Arguments arguments) {
  CopyLine line;
  std::string target;
  CLI::App app{"Copy an image between registries, OCI layouts, archives and the store", "cbuild copy"};
  app.add_option("SOURCE", line.source,
                 "[docker://]NAME, oci-layout://DIR[:TAG], oci-archive://FILE, docker-archive://FILE, store://NAME")
      ->required();
  app.add_option("DESTINATION", target, "The same; a name without a scheme is in a registry")->required();
  add_copy_flags(app, line);
  if (!parse_flags(app, line.root, std::move(arguments))) return exit_code::kSuccess;
  ImagePlaces places(line.root, line.registry, {line.source, target});
  exporter::ImagePlace& from = places.read(line.source);
  copy_and_tell(from, places.write(target), line);
  places.settle();
  return exit_code::kSuccess;
}

int tag_command(Arguments arguments) {
  CopyLine line;
  CLI::App app{"Give an image of the store, or of a registry, more names there", "cbuild tag"};
  app.add_option("SOURCE", line.source, "NAME of the store, else of a registry; docker://NAME is in a registry")
      ->required();
  app.add_option("NAME", line.names, "New names, of the same kind")->required();
  add_copy_flags(app, line);
  if (!parse_flags(app, line.root, std::move(arguments))) return exit_code::kSuccess;
  ImagePlaces places(line.root, line.registry, {line.source});
  exporter::ImagePlace& from = places.read(line.source);
  for (const std::string& name : line.names) copy_and_tell(from, places.write_like(name, from), line);
  places.settle();
  return exit_code::kSuccess;
}

}  // namespace cbuild::cli
