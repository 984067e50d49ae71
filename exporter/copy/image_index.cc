// SPDX-License-Identifier: Apache-2.0
// An index is put together in three steps: the manifests of all sources, the same one once; those of the platforms that
// are wanted; the annotations of each level. Copying the parts is the caller's.
#include "exporter/copy/image_index.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "exporter/copy/image_facts.h"
#include "oci/image_config.h"
#include "oci/manifest.h"

namespace cbuild::exporter {
namespace {

class Assembly {
 public:
  explicit Assembly(const AssemblyOptions& options) : options_(options) {}

  AssembledImage run(const std::vector<ImagePlace*>& sources) {
    std::optional<ImageDocument> only;
    for (ImagePlace* source : sources) {
      only = source->root();
      add(*only, *source);
    }
    if (sources.size() == 1 && options_.annotations.empty() && options_.platforms.empty() &&
        (oci::is_index(only->descriptor.media_type) || !options_.prefer_index)) {
      out_.image = *std::move(only);
    } else {
      build();
    }
    out_.places[out_.image.descriptor.digest] = sources.front();
    return std::move(out_);
  }

 private:
  void add(const ImageDocument& document, ImagePlace& source) {
    const auto parsed = oci::parse_manifest(document.body, {}, oci::Digests::any);
    if (const auto* index = std::get_if<oci::Index>(&parsed)) {
      for (const oci::Descriptor& entry : index->manifests) add_entry(entry, source);
      return;
    }
    oci::Descriptor entry = document.descriptor;
    entry.annotations.clear();  // names within a layout
    const auto& manifest = std::get<oci::Manifest>(parsed);
    const std::string& type = manifest.config.media_type;
    if (type == oci::media_type::kConfig || type == oci::media_type::kDockerConfig)
      entry.platform = oci::normalize(oci::parse_image_config(source.small_blob(manifest.config)).platform);
    add_entry(entry, source);
  }

  /// The same manifest again adds only what is said of it.
  void add_entry(const oci::Descriptor& entry, ImagePlace& source) {
    refuse_sha512(entry);
    out_.places[entry.digest] = &source;
    const auto known = std::find_if(entries_.begin(), entries_.end(),
                                    [&](const oci::Descriptor& old) { return old.digest == entry.digest; });
    if (known == entries_.end()) return entries_.push_back(entry);
    if (entry.platform) known->platform = entry.platform;
    for (const auto& [name, value] : entry.annotations) known->annotations[name] = value;
  }

  bool is_wanted(const oci::Descriptor& entry) const {
    return entry.platform && std::any_of(options_.platforms.begin(), options_.platforms.end(), [&](const auto& wanted) {
             return oci::match_score(wanted, *entry.platform) > 0;
           });
  }

  void keep_platforms() {
    if (options_.platforms.empty()) return;
    std::set<Digest> kept;
    for (const oci::Descriptor& entry : entries_)
      if (is_wanted(entry)) kept.insert(entry.digest);
    if (kept.empty()) throw Error(ErrorCode::not_found, "no image is for one of the platforms that were asked for");
    std::erase_if(entries_, [&](const oci::Descriptor& entry) {
      const std::optional<Digest> about = attested_manifest(entry);
      return !kept.contains(entry.digest) && !(about && kept.contains(*about));
    });
  }

  void build() {
    keep_platforms();
    oci::Index index;
    const bool all_docker = std::all_of(entries_.begin(), entries_.end(), [](const oci::Descriptor& entry) {
      return entry.media_type.starts_with("application/vnd.docker.");
    });
    if (all_docker && options_.annotations.empty()) index.media_type = oci::media_type::kDockerIndex;
    for (const IndexAnnotation& annotation : options_.annotations) {
      if (!annotation.of_entries) index.annotations[annotation.name] = annotation.value;
      for (oci::Descriptor& entry : entries_) {
        const bool meant = !annotation.platform ||
                           (entry.platform && oci::normalize(*entry.platform) == oci::normalize(*annotation.platform));
        if (annotation.of_entries && meant && !oci::is_attestation(entry))
          entry.annotations[annotation.name] = annotation.value;
      }
    }
    index.manifests = std::move(entries_);
    out_.image = document_of(oci::to_json(index));
  }

  const AssemblyOptions& options_;
  std::vector<oci::Descriptor> entries_;
  AssembledImage out_;
};

}  // namespace

IndexAnnotation parse_index_annotation(const std::string& text) {
  const auto refuse = [&](const std::string& why) {
    throw Error(ErrorCode::usage, cat("--annotation ", go_quote(text), ": ", why))
        .with_hint("index:NAME=VALUE or manifest-descriptor[PLATFORM]:NAME=VALUE");
  };
  const std::size_t equals = text.find('='), colon = text.find(':');
  if (equals == std::string::npos) refuse("\"=\" is missing");
  if (colon == std::string::npos || colon > equals) refuse("the level is missing");
  IndexAnnotation out;
  std::string level = text.substr(0, colon);
  out.name = text.substr(colon + 1, equals - colon - 1);
  out.value = text.substr(equals + 1);
  if (const std::size_t open = level.find('['); open != std::string::npos && level.ends_with(']')) {
    out.platform = oci::parse_platform(level.substr(open + 1, level.size() - open - 2));
    if (!out.platform) refuse("invalid platform");
    level.resize(open);
  }
  out.of_entries = level == "manifest-descriptor";
  if (out.name.empty()) refuse("the name is missing");
  if (!out.of_entries && (level != "index" || out.platform)) refuse("an index that is put together has no such level");
  return out;
}

AssembledImage assemble_image(const std::vector<ImagePlace*>& sources, const AssemblyOptions& options) {
  if (sources.empty()) throw Error(ErrorCode::usage, "no image to put together");
  return Assembly(options).run(sources);
}

}  // namespace cbuild::exporter
