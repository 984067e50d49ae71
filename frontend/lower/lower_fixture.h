// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/error.h"
#include "base/text.h"
#include "frontend/lower/lower.h"
#include "frontend/syntax/parser.h"

/// Shared by tests of lowering: an image resolver and a pinner that answer from memory, and a build in one call.
namespace cbuild::frontend::testing {

/// Knows every reference that does not hold "missing". An image has one layer, a PATH, CMD ["sh"] and one
/// history entry unless the test says otherwise.
class FakeImages final : public ImageResolver {
 public:
  std::map<std::string, oci::ImageConfig> images;             ///< by reference as it is asked for
  std::vector<std::pair<std::string, std::string>> requests;  ///< reference and platform, in order

  static oci::ImageConfig plain_image() {
    oci::ImageConfig config;
    config.created = "2024-01-02T03:04:05Z";
    config.platform = *oci::parse_platform("linux/amd64");
    config.config.env = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"};
    config.config.cmd = std::vector<std::string>{"sh"};
    config.diff_ids = {sha256("layer")};
    config.history = {{"2024-01-02T03:04:05Z", "ADD rootfs.tar / # base", "", "", false}};
    return config;
  }

  ResolvedImage resolve(const std::string& reference, const Digest& locked, const oci::Platform& platform) override {
    requests.emplace_back(locked.empty() ? reference : cat(reference, "@", locked.str()), platform.str());
    if (reference.find("missing") != std::string::npos) {
      throw Error(ErrorCode::not_found, cat(reference, ": not found"));
    }
    const auto known = images.find(reference);
    ResolvedImage out;
    out.config = known == images.end() ? plain_image() : known->second;
    if (known == images.end()) out.config.platform = platform;
    out.manifest = sha256(cat(reference, " for ", platform.str()));
    out.locator = cat("fake://", reference);
    return out;
  }
};

class FakePinner final : public SourcePinner {
 public:
  std::map<std::string, PinnedFile> files;
  std::map<std::string, PinnedCommit> commits;  ///< by "remote#ref"
  std::vector<std::pair<std::string, Digest>> expectations;
  std::map<std::string, std::int64_t> times;  ///< by commit or URL

  PinnedFile pin_url(const std::string& url, const Digest& expected) override {
    expectations.emplace_back(url, expected);
    const auto found = files.find(url);
    if (found == files.end()) throw Error(ErrorCode::network, cat(url, ": 404"));
    return found->second;
  }
  PinnedCommit pin_git(const std::string& remote, const std::string& ref) override {
    const auto found = commits.find(cat(remote, "#", ref));
    if (found == commits.end()) throw Error(ErrorCode::not_found, cat("repository ", remote, " has no ref ", ref));
    return found->second;
  }
  std::optional<std::int64_t> source_time(const solver::Op& source) override {
    const auto* git = std::get_if<solver::GitSource>(&source);
    const std::string key = git != nullptr ? git->commit : std::get<solver::HttpSource>(source).url;
    const auto found = times.find(key);
    return found == times.end() ? std::nullopt : std::optional(found->second);
  }
};

inline LowerOptions plain_options() {
  LowerOptions options;
  options.context_path = "/ctx";
  options.target_platform = options.build_platform = *oci::parse_platform("linux/amd64");
  return options;
}

/// A Dockerfile and everything needed to lower it. The parsed file lives in here, as the result's spans need its text
/// only.
struct Build {
  LowerOptions options = plain_options();
  FakeImages images;
  FakePinner pinner;

  Lowered run(const std::string& text) {
    const Dockerfile parsed =
        parse_dockerfile(std::make_shared<const SourceText>("Dockerfile", text), {.checks = options.reports.checks});
    return lower(parsed, options, images);
  }

  /// All diagnostics and errors as the user reads them; empty if the build is fine.
  std::string error(const std::string& text) {
    try {
      run(text);
    } catch (const DiagnosticError& e) {
      std::string out;
      for (const Diagnostic& diagnostic : e.diagnostics()) out += render(diagnostic);
      return out;
    } catch (const Error& e) {
      return cat("error: ", e.what(), "\n", e.hint().empty() ? "" : cat("hint: ", e.hint(), "\n"));
    }
    return {};
  }

  /// The first diagnostic's or error's own words.
  std::string message(const std::string& text) {
    try {
      run(text);
    } catch (const DiagnosticError& e) {
      return e.diagnostics().at(0).message;
    } catch (const Error& e) {
      return e.what();
    }
    return {};
  }

  std::string hint(const std::string& text) {
    try {
      run(text);
    } catch (const DiagnosticError& e) {
      return e.diagnostics().at(0).hint;
    } catch (const Error& e) {
      return e.hint();
    }
    return {};
  }
};

inline const solver::Vertex& result_vertex(const Lowered& lowered) { return lowered.graph[lowered.target.result]; }

/// Names of all vertices that the target reaches, sources first.
inline std::vector<std::string> step_names(const Lowered& lowered) {
  std::vector<std::string> out;
  for (const solver::VertexId id : lowered.graph.reachable({lowered.target.result})) {
    out.push_back(lowered.graph[id].name);
  }
  return out;
}

/// The op of the only reached vertex of its kind; the last one if there are several.
template <typename OpType>
const OpType& last_op(const Lowered& lowered) {
  const OpType* found = nullptr;
  for (const solver::VertexId id : lowered.graph.reachable({lowered.target.result})) {
    if (const auto* op = std::get_if<OpType>(&lowered.graph[id].op)) found = op;
  }
  CBUILD_CHECK(found != nullptr);
  return *found;
}

/// created_by of the entries this build added.
inline std::vector<std::string> own_history(const Lowered& lowered) {
  std::vector<std::string> out;
  const auto& history = lowered.target.config.history;
  for (std::size_t i = lowered.target.base_history; i < history.size(); ++i) out.push_back(history[i].created_by);
  return out;
}

}  // namespace cbuild::frontend::testing
