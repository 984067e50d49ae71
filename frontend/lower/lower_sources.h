// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "frontend/lower/lower.h"
#include "frontend/stages/lower_contexts.h"
#include "frontend/stages/lower_remote.h"
#include "frontend/stages/stages.h"
#include "solver/graph/graph.h"

namespace cbuild::frontend {

/// The image or context that a FROM names outside of the file: known before any vertex is made of it.
struct ResolvedBase {
  std::optional<NamedContext> context;  ///< it is a named context
  std::optional<ResolvedImage> image;   ///< it is an image; empty for scratch and for contexts that are files
  oci::ImageConfig config;              ///< the stage starts from it; without `created`
  oci::Platform platform;
  oci::Platform wanted;  ///< as asked for; `platform` may be the image's own instead
  std::string name;      ///< full reference with digest, or the context's value
};

/// Everything that comes from outside the Dockerfile: images, named contexts, the build context, URLs,
/// repositories. Asks the resolver for each image and platform once, and makes source vertices.
class Sources {
 public:
  /// `options.target_platform` may change between two calls.
  Sources(const LowerOptions& options, const NamedContexts& contexts, ImageResolver& images, solver::Graph& graph)
      : options_(options), contexts_(contexts), images_(images), graph_(graph) {}

  /// A named context of that name, else the image. Without a platform of its own and without --platform, an
  /// image of another platform is taken as it is. Throws Error with the place as context, and the nearest
  /// stage for "did you mean".
  ResolvedBase resolve(const std::string& reference, const std::optional<oci::Platform>& platform, const Span& span,
                       const StageTable& stages);
  /// The context that stands in for a stage.
  ResolvedBase resolve_context(const NamedContext& context, const std::optional<oci::Platform>& platform,
                               const Span& span);

  /// The vertex that holds the files of `base`, to copy or mount from. kNoInput: it has none.
  solver::VertexId add(const ResolvedBase& base, const std::string& step_name, const Span& span);
  /// The same as a root file system: a directory that is read in place becomes a layer.
  solver::VertexId add_root(const ResolvedBase& base, const std::string& step_name, const Span& span);
  /// The ignore patterns for the build context in a stage of that name (empty: none).
  const std::vector<std::string>& context_patterns(const std::string& stage);
  /// The build context as the stage of that name (maybe none) reads it. kNoInput: the build has none.
  solver::VertexId build_context(const std::string& stage, const Span& span);

  /// The same as files of a layer, for who cannot read a directory in place.
  solver::VertexId build_context_root(const std::string& stage, const Span& span);

  solver::VertexId add_git(const GitRef& ref, bool keep_git_dir, const std::string& step_name, const Span& span);
  /// `checksum`: "sha256:..." or empty. Throws Error{input} when the content differs.
  solver::VertexId add_url(const std::string& url, const std::string& file_name, const std::string& checksum,
                           const std::string& step_name, const Span& span);

 private:
  const ResolvedImage& image(const std::string& reference, const Digest& locked, const oci::Platform& platform);
  const ResolvedImage& named_image(const std::string& reference, const oci::Platform& platform, const Span& span);
  solver::VertexId add_context(const NamedContext& context, const std::string& step_name, const Span& span);
  const std::vector<std::string>& ignore_patterns(const std::string& directory);
  solver::VertexId add_copy(solver::VertexId source, const std::string& step_name, const Span& span);
  solver::VertexId add_source(solver::Op source, const std::string& step_name, const Span& span);

  const LowerOptions& options_;
  const NamedContexts& contexts_;
  ImageResolver& images_;
  solver::Graph& graph_;
  std::map<std::pair<std::string, std::string>, ResolvedImage> resolved_;  // by reference and platform

  std::map<std::string, std::vector<std::string>> ignores_;                       // of local contexts, by directory
  std::map<std::string, std::optional<std::vector<std::string>>> stage_ignores_;  // of the main context, by stage
};

/// Where a named context comes from: "load from client", or its image, repository or URL.
std::string describe_context(const NamedContext& context);
/// How progress shows a named context that is read from ("[context deps] load from client").
std::string context_step_name(const NamedContext& context);

}  // namespace cbuild::frontend
