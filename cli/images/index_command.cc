// SPDX-License-Identifier: Apache-2.0
#include "cli/images/index_command.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/output_file.h"
#include "base/text.h"
#include "cli/flags/flags.h"
#include "cli/images/image_places.h"
#include "cli/report/exit_codes.h"
#include "exporter/copy/image_copy.h"
#include "exporter/copy/image_index.h"

namespace cbuild::cli {
namespace {

struct IndexLine {
  std::string root, metadata_file;
  std::vector<std::string> sources, names, annotations, platforms;
  bool append = false, dry_run = false, referrers = false;
  bool prefer_index = true;
  RegistryFlags registry;
};

exporter::AssemblyOptions options_of(const IndexLine& line) {
  exporter::AssemblyOptions options;
  for (const std::string& text : line.annotations)
    options.annotations.push_back(exporter::parse_index_annotation(text));
  options.platforms = wanted_platforms(line.platforms);
  options.prefer_index = line.prefer_index;
  return options;
}

void check_line(const IndexLine& line) {
  if (line.names.empty() && !line.dry_run)
    throw Error(ErrorCode::usage, "the new image has no name").with_hint("-t NAME, or --dry-run to see it");
  if (line.append && line.names.empty()) throw Error(ErrorCode::usage, "--append needs -t NAME to append to");
  if (line.sources.empty() && !line.append) throw Error(ErrorCode::usage, "no image to put together");
}

void write_metadata(const IndexLine& line, const exporter::ImageDocument& image) {
  if (line.metadata_file.empty()) return;
  nlohmann::ordered_json descriptor{{"mediaType", image.descriptor.media_type},
                                    {"digest", image.descriptor.digest.str()},
                                    {"size", image.descriptor.size}};
  nlohmann::ordered_json out{{"containerimage.descriptor", descriptor},
                             {"containerimage.digest", image.descriptor.digest.str()},
                             {"image.name", join(line.names, ",")}};
  write_output_file(line.metadata_file,
                    out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

int create(const IndexLine& line) {
  check_line(line);
  std::vector<std::string> texts = line.sources;
  texts.insert(texts.end(), line.names.begin(), line.names.end());
  const exporter::AssemblyOptions options = options_of(line);
  ImagePlaces places(line.root, line.registry, texts);
  std::vector<exporter::ImagePlace*> sources;
  if (line.append) sources.push_back(&places.read_target(line.names.front()));
  for (const std::string& source : line.sources) sources.push_back(&places.read(source));
  const exporter::AssembledImage assembled = exporter::assemble_image(sources, options);
  write_metadata(line, assembled.image);
  if (line.dry_run) {
    std::cout << assembled.image.body << std::flush;
    return exit_code::kSuccess;
  }
  exporter::CopyOptions copy;
  copy.referrers = line.referrers;
  const auto source_of = [&](const Digest& digest) -> exporter::ImagePlace& { return *assembled.places.at(digest); };
  for (const std::string& name : line.names) {
    exporter::ImagePlace& to = places.write(name);
    const exporter::CopyResult result = exporter::copy_assembled(assembled.image, source_of, to, copy);
    std::cerr << sanitize_for_terminal(to.name()) << (result.was_there ? " has it already\n" : " done\n");
  }
  places.settle();
  std::cout << assembled.image.descriptor.digest.str() << '\n';
  return exit_code::kSuccess;
}

}  // namespace

int index_command(Arguments arguments) {
  IndexLine line;
  CLI::App app{"Put images together to an index", "cbuild index"};
  app.fallthrough();
  app.require_subcommand(1);
  CLI::App* command = app.add_subcommand(
      "create", "Make an index of images and indexes, and give it names; parts that its registry lacks are copied");
  command->add_option("SOURCE", line.sources, "Images, as cbuild copy takes them");
  command->add_option("-t,--tag", line.names, "Name of the new image; can be repeated")->allow_extra_args(false);
  command->add_flag("--append", line.append, "Add to the image that has the first name");
  command
      ->add_option("--annotation", line.annotations,
                   "LEVEL:NAME=VALUE: index, manifest-descriptor or manifest-descriptor[PLATFORM]")
      ->allow_extra_args(false);
  command->add_option("-p,--platform", line.platforms, "Leave out other platforms")->allow_extra_args(false);
  command->add_flag("--prefer-index", line.prefer_index,
                    "Make an index of a single image, too (default; --prefer-index=false copies it as it is)");
  command->add_flag("--dry-run", line.dry_run, "Print the index and write nothing");
  command->add_option("--metadata-file", line.metadata_file, "Write digest and names of the result as JSON");
  command->add_flag("--referrers", line.referrers, "Copy signatures and other artifacts of the images, too");
  line.registry.add_to(*command);
  if (!parse_flags(app, line.root, std::move(arguments))) return exit_code::kSuccess;
  return create(line);
}

}  // namespace cbuild::cli
