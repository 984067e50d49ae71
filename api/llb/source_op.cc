// SPDX-License-Identifier: Apache-2.0
// Sources by the scheme of their identifier (lowering.h). Images, URLs and repositories are tied to content through the
// engine, whose policies count; directories and image layouts of the client come through callbacks. An attribute that
// is not known is refused: it would say something about the content.
#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>

#include "api/llb/lowering.h"
#include "base/error.h"
#include "base/text.h"
#include "base/url_parts.h"
#include "frontend/stages/config_base.h"
#include "frontend/stages/lower_remote.h"
#include "frontend/stages/source_pin.h"
#include "oci/reference.h"

namespace cbuild::api {
namespace {

using Attributes = std::map<std::string, std::function<void(const std::string&)>>;

/// Gives each attribute to who reads it.
void read_attributes(const DecodedOp& op, const Attributes& known) {
  const auto& given = op.op.source().attrs();
  const std::map<std::string, std::string> sorted(given.begin(), given.end());
  for (const auto& [name, value] : sorted) {
    const auto reader = known.find(name);
    if (reader == known.end())
      reject(op, cat("source.attrs[", go_quote(name), "]"), cat("unknown attribute with the value ", go_quote(value)));
    reader->second(value);
  }
}

[[noreturn]] void reject_attribute(const DecodedOp& op, std::string_view name, const std::string& value,
                                   std::string_view problem) {
  reject(op, cat("source.attrs[", go_quote(name), "]"), cat(go_quote(value), " ", problem));
}

bool read_flag(const DecodedOp& op, std::string_view name, const std::string& value) {
  if (value == "true") return true;
  if (value.empty() || value == "false") return false;
  reject_attribute(op, name, value, "is neither true nor false");
}

std::vector<std::string> read_list(const DecodedOp& op, std::string_view name, const std::string& value) {
  if (value.empty()) return {};
  const auto json = nlohmann::json::parse(value, nullptr, false);
  const bool texts =
      json.is_array() && std::all_of(json.begin(), json.end(), [](const auto& one) { return one.is_string(); });
  if (!texts && !json.is_null()) reject_attribute(op, name, value, "is not a JSON list of texts");
  return texts ? json.get<std::vector<std::string>>() : std::vector<std::string>();
}

/// As Go reads numbers with a prefix: "0644", "0x10", "10".
std::uint32_t read_number(const DecodedOp& op, std::string_view name, const std::string& value, std::int64_t limit) {
  std::optional<std::int64_t> number;
  if (value.starts_with("0x"))
    number = parse_int(std::string_view(value).substr(2), 16);
  else if (value.starts_with("0o"))
    number = parse_int(std::string_view(value).substr(2), 8);
  else
    number = parse_int(value, value.size() > 1 && value.starts_with('0') ? 8 : 10);
  if (!number || *number < 0 || *number > limit)
    reject_attribute(op, name, value, cat("is not a number up to ", limit));
  return static_cast<std::uint32_t>(*number);
}

constexpr std::int64_t kMaxId = 0xFFFFFFFE, kMaxLayers = 100'000;

solver::VertexId add_image(const OpLowering& lowering, const frontend::ResolvedImage& image, std::uint32_t layer_limit,
                           const std::string& name) {
  if (frontend::has_no_layers(image.config)) return solver::kNoInput;
  oci::ImageConfig config = image.config;
  if (layer_limit != 0 && layer_limit < config.diff_ids.size())
    config.diff_ids.resize(layer_limit);
  else
    layer_limit = 0;
  const solver::VertexId id =
      lowering.add(solver::ImageSource{image.manifest, lowering.platform().str(), oci::chain_id(config.diff_ids),
                                       image.locator, layer_limit},
                   {});
  lowering.build.images.insert_or_assign(id, std::move(config));
  lowering.build.image_names.insert_or_assign(id, name);
  return id;
}

/// "docker.io/library/x:tag@sha256:...".
std::string name_with_digest(const std::string& name, const Digest& manifest) {
  oci::Reference parsed = oci::parse_reference(name);
  if (!parsed.digest) parsed.digest = manifest;
  return parsed.str();
}

solver::VertexId lower_image(const OpLowering& lowering, const std::string& name) {
  const DecodedOp& op = lowering.op;
  Digest checksum;
  bool ask = false;
  std::uint32_t layer_limit = 0;
  read_attributes(op, {{"image.resolvemode",
                        [&](const std::string& mode) {
                          ask = mode == "pull";
                          if (!ask && !mode.empty() && mode != "default" && mode != "local")
                            reject_attribute(op, "image.resolvemode", mode, "is none of default, pull, local");
                        }},
                       {"image.recordtype", [](const std::string&) {}},
                       {"image.checksum",
                        [&](const std::string& text) {
                          const auto digest = Digest::parse(text);
                          if (!digest) reject_attribute(op, "image.checksum", text, "is not a SHA-256 digest");
                          checksum = *digest;
                        }},
                       {"image.layerlimit", [&](const std::string& limit) {
                          layer_limit = read_number(op, "image.layerlimit", limit, kMaxLayers);
                          if (layer_limit == 0) reject_attribute(op, "image.layerlimit", limit, "leaves no layer");
                        }}});
  const oci::Reference reference = oci::parse_reference(name);
  if (!checksum.empty() && reference.digest && *reference.digest != checksum)
    reject(op, "source.attrs[\"image.checksum\"]", cat("the image has another digest, ", reference.digest->str()));
  frontend::ImageResolver& images = lowering.build.sources.images;
  const oci::Platform platform = lowering.platform();
  const frontend::ResolvedImage image =
      ask ? images.resolve_present(name, checksum, platform) : images.resolve(name, checksum, platform);
  return add_image(lowering, image, layer_limit, name_with_digest(name, image.manifest));
}

/// Asks once for equal requests.
template <typename Request, typename Ask>
std::string asked(std::vector<std::pair<Request, std::string>>& known, const Request& request, const Ask& ask) {
  for (const auto& [old, answer] : known)
    if (old == request) return answer;
  known.emplace_back(request, ask(request));
  return known.back().second;
}

solver::VertexId lower_layout(const OpLowering& lowering, const std::string& name) {
  const DecodedOp& op = lowering.op;
  LayoutRequest request;
  request.name = name;
  request.platform = lowering.platform();
  std::uint32_t layer_limit = 0;
  read_attributes(op, {{"oci.session", [&](const std::string& session) { request.session = session; }},
                       {"oci.store", [&](const std::string& store) { request.store = store; }},
                       {"oci.layerlimit", [&](const std::string& limit) {
                          layer_limit = read_number(op, "oci.layerlimit", limit, kMaxLayers);
                          if (layer_limit == 0) reject_attribute(op, "oci.layerlimit", limit, "leaves no layer");
                        }}});
  Lowering& build = lowering.build;
  if (!build.options.callbacks.layout)
    reject(op, "source.identifier", "this client has no content store to read images of");
  const std::string place = asked(build.layouts, request, build.options.callbacks.layout);
  return add_image(lowering, build.sources.images.resolve(place, {}, request.platform), layer_limit, name);
}

solver::VertexId lower_local(const OpLowering& lowering, const std::string& name) {
  const DecodedOp& op = lowering.op;
  LocalRequest request;
  request.name = name;
  const auto list = [&op](const char* attribute, std::vector<std::string>& into) {
    return std::pair<const std::string, std::function<void(const std::string&)>>(
        attribute, [&op, attribute, &into](const std::string& value) { into = read_list(op, attribute, value); });
  };
  read_attributes(
      op, {{"local.session", [&](const std::string& session) { request.session = session; }},
           {"local.unique", [&](const std::string& unique) { request.unique = unique; }},
           {"local.sharedkeyhint", [&](const std::string& hint) { request.shared_key_hint = hint; }},
           list("local.includepattern", request.include_patterns),
           list("local.excludepatterns", request.exclude_patterns),
           list("local.followpaths", request.follow_paths),
           {"local.differ",
            [&](const std::string& differ) {
              request.compare_metadata = differ != "none";
              if (!differ.empty() && differ != "none" && differ != "metadata")
                reject_attribute(op, "local.differ", differ, "is neither none nor metadata");
            }},
           {"local.metadatatransfer",
            [&](const std::string& only) { request.metadata_only = read_flag(op, "local.metadatatransfer", only); }},
           list("local.metadatatransferexclude", request.full_content)});
  Lowering& build = lowering.build;
  if (!build.options.callbacks.local) reject(op, "source.identifier", "this build has no directories of a client");
  return lowering.add(solver::LocalSource{name, asked(build.locals, request, build.options.callbacks.local), {}}, {});
}

/// The default names of the secrets are those that the engine asks for itself.
std::function<void(const std::string&)> only(const DecodedOp& op, const char* name, const char* value) {
  return [&op, name, value](const std::string& given) {
    if (!given.empty() && given != value) reject_attribute(op, name, given, cat("cannot be used here, only ", value));
  };
}

std::string with_scheme(const std::string& remote) {
  if (split_url(remote) || remote.find('@') != std::string::npos) return remote;
  return cat("https://", remote);
}

/// "host/path#ref:subdir".
frontend::GitRef parse_git_name(std::string name) {
  frontend::GitRef ref;
  if (const std::size_t hash = name.find('#'); hash != std::string::npos) {
    const std::string fragment = name.substr(hash + 1);
    name.resize(hash);
    const std::size_t colon = fragment.find(':');
    ref.ref = fragment.substr(0, colon);
    if (colon != std::string::npos) ref.subdir = join_path("/", fragment.substr(colon + 1)).substr(1);
  }
  ref.remote = with_scheme(name);
  ref.mtime = "checkout";
  return ref;
}

solver::VertexId lower_git(const OpLowering& lowering, const std::string& name) {
  const DecodedOp& op = lowering.op;
  frontend::GitRef ref = parse_git_name(name);
  bool keep_git_dir = false;
  read_attributes(
      op, {{"git.keepgitdir", [&](const std::string& keep) { keep_git_dir = read_flag(op, "git.keepgitdir", keep); }},
           {"git.fullurl", [&](const std::string& url) { ref.remote = with_scheme(url); }},
           {"git.checksum", [&](const std::string& checksum) { ref.checksum = checksum; }},
           {"git.skipsubmodules",
            [&](const std::string& skip) { ref.submodules = !read_flag(op, "git.skipsubmodules", skip); }},
           {"git.fetchbycommit",
            [&](const std::string& fetch) { ref.fetch_by_commit = read_flag(op, "git.fetchbycommit", fetch); }},
           {"git.mtime",
            [&](const std::string& mtime) {
              if (mtime != "checkout" && mtime != "commit")
                reject_attribute(op, "git.mtime", mtime, "is neither checkout nor commit");
              ref.mtime = mtime;
            }},
           {"git.authtokensecret", only(op, "git.authtokensecret", "GIT_AUTH_TOKEN")},
           {"git.authheadersecret", only(op, "git.authheadersecret", "GIT_AUTH_HEADER")},
           {"git.mountsshsock", only(op, "git.mountsshsock", "default")},
           // Keys of hosts that the client has just asked for; those of this machine count.
           {"git.knownsshhosts", [](const std::string&) {}}});
  return lowering.add(frontend::pin_git_source(ref, keep_git_dir, &lowering.build.sources.pinner), {});
}

std::string url_name(const std::string& url) {
  const std::string name = frontend::url_file_name(url);
  return name == "__unnamed__" ? "download" : name;
}

solver::VertexId lower_url(const OpLowering& lowering, const std::string& url) {
  const DecodedOp& op = lowering.op;
  std::string file_name, checksum;
  std::uint32_t mode = 0600, uid = 0, gid = 0;
  read_attributes(op,
                  {{"http.checksum", [&](const std::string& digest) { checksum = digest; }},
                   {"http.filename", [&](const std::string& name) { file_name = name; }},
                   {"http.perm", [&](const std::string& perm) { mode = read_number(op, "http.perm", perm, 07777); }},
                   {"http.uid", [&](const std::string& user) { uid = read_number(op, "http.uid", user, kMaxId); }},
                   {"http.gid", [&](const std::string& group) { gid = read_number(op, "http.gid", group, kMaxId); }}});
  if (file_name.empty()) file_name = url_name(url);
  solver::HttpSource source = frontend::pin_http_source(url, file_name, checksum, &lowering.build.sources.pinner);
  source.mode = mode;
  source.uid = uid;
  source.gid = gid;
  return lowering.add(std::move(source), {});
}

const frontend::LoweredTarget& target_for(const OpLowering& lowering, const frontend::LoweredTargets& earlier) {
  if (earlier.targets.size() == 1) return earlier.targets.front();
  const std::string platform = lowering.platform().str();
  for (const frontend::LoweredTarget& target : earlier.targets)
    if (target.platform.str() == platform) return target;
  reject(lowering.op, "source.identifier", cat("the earlier result has nothing for ", platform));
}

solver::VertexId lower_earlier(const OpLowering& lowering, const std::string& ref) {
  read_attributes(lowering.op, {});
  Lowering& build = lowering.build;
  const std::pair<std::string, std::string> key(ref, lowering.platform().str());
  if (const auto known = build.earlier.find(key); known != build.earlier.end()) return known->second;
  if (!build.options.callbacks.earlier) reject(lowering.op, "source.identifier", "there are no earlier results");
  const auto earlier = build.options.callbacks.earlier(ref);
  if (!earlier) reject(lowering.op, "source.identifier", "there is no such result of an earlier solve");
  const solver::VertexId id = import_vertex(build.graph, earlier->graph, target_for(lowering, *earlier).result);
  build.earlier.emplace(key, id);
  return id;
}

}  // namespace

std::vector<solver::VertexId> lower_source(const OpLowering& lowering) {
  const std::string& identifier = lowering.op.op.source().identifier();
  const std::size_t end = identifier.find("://");
  const std::string scheme = identifier.substr(0, end);
  const std::string rest = end == std::string::npos ? "" : identifier.substr(end + 3);
  if (rest.empty()) reject(lowering.op, "source.identifier", cat(go_quote(identifier), " is not SCHEME://NAME"));
  if (scheme == "docker-image") return {lower_image(lowering, rest)};
  if (scheme == "local") return {lower_local(lowering, rest)};
  if (scheme == "git") return {lower_git(lowering, rest)};
  if (scheme == "http" || scheme == "https") return {lower_url(lowering, identifier)};
  if (scheme == "oci-layout") return {lower_layout(lowering, rest)};
  if (scheme == "cbuild") return {lower_earlier(lowering, rest)};
  reject(lowering.op, "source.identifier", cat("unknown scheme ", go_quote(scheme)),
         "use docker-image, local, git, http, https or oci-layout");
}

}  // namespace cbuild::api
