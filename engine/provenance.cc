// SPDX-License-Identifier: Apache-2.0
// How a target came to be, from the request and the graph: sources with their digests, the request as the arguments
// that BuildKit's frontend would have got, and for mode=max each vertex with its lines and layers. Vertices are in the
// order in which BuildKit lists them: inputs first, as they are met on the way from the target.
#include "engine/provenance.h"

#include <algorithm>
#include <set>

#include "base/sys.h"
#include "base/text.h"
#include "base/url_parts.h"
#include "cache/blob_places.h"
#include "cache/packer.h"
#include "engine/llb_json.h"
#include "exporter/image_builder.h"
#include "frontend/lower/check_stage.h"
#include "oci/reference.h"
#include "supply/purl.h"
#include "supply/redact.h"

namespace cbuild::engine {
namespace {

using solver::VertexId;
using supply::Provenance;

using cache::kImageScheme;

/// An image of a layout, under the name of the build context that brought it.
struct LayoutImage {
  std::string name;
  std::optional<Digest> digest;
};

LayoutImage layout_image(const BuildRequest& request, const std::string& locator) {
  const LayoutLocator at = parse_layout_locator(locator);
  LayoutImage out{base_name(at.path), Digest::parse(at.selector.starts_with('@') ? at.selector.substr(1) : "")};
  for (const auto& [name, value] : request.inputs.named_contexts)
    if (value.starts_with(kLayoutScheme) && base_name(parse_layout_locator(value).path) == base_name(at.path))
      out.name = name;
  return out;
}

/// Names of layouts may be anything; a reference takes less.
oci::Reference reference_of(const LayoutImage& image) {
  oci::Reference out;
  try {
    out = oci::parse_reference(image.name);
  } catch (const Error&) {
    out = oci::parse_reference("layout");
  }
  out.tag.clear();
  out.digest = image.digest;
  return out;
}

/// With the tag that named it; by its digest only if there was none.
oci::Reference named_reference(const std::string& locator) {
  oci::Reference out = oci::parse_reference(locator.substr(kImageScheme.size()));
  if (!out.tag.empty()) out.digest.reset();
  return out;
}

std::string image_identifier(const BuildRequest& request, const std::string& locator) {
  if (!locator.starts_with(kLayoutScheme)) return locator;
  return cat(kLayoutScheme, reference_of(layout_image(request, locator)).str());
}

supply::DigestSet digest_set(const Digest& digest) { return {{"sha256", digest.hex()}}; }

supply::DigestSet commit_set(const std::string& commit) { return {{commit.size() == 64 ? "sha256" : "sha1", commit}}; }

/// As a person writes it, without "refs/heads/" or "refs/tags/".
std::string git_url(const solver::GitSource& git) {
  std::string ref = git.ref;
  for (const std::string_view prefix : {"refs/heads/", "refs/tags/"})
    if (ref.starts_with(prefix)) ref.erase(0, prefix.size());
  return supply::without_credentials(ref.empty() ? git.remote : cat(git.remote, "#", ref));
}

bool is_over_ssh(const std::string& remote) {
  const auto url = split_url(remote);
  return !url || url->scheme == "ssh";
}

/// The sources of a target, by kind and name, each once.
class SourceList {
 public:
  explicit SourceList(const BuildRequest& request) : request_(request) {}

  void add(const solver::Op& op) {
    std::visit([this](const auto& source) { take(source); }, op);
  }
  /// What git may use for them.
  void add_git_access(Provenance& out) const;

  /// In BuildKit's order: images, repositories, files.
  void write(Provenance& out) const {
    for (const auto* list : {&images_, &repositories_, &files_})
      for (const auto& [name, material] : *list) out.materials.push_back(material);
    out.locals.assign(locals_.begin(), locals_.end());
    out.all_materials = locals_.empty();
  }
  void add_local(const std::string& name) { locals_.insert(name); }

 private:
  void take(const solver::ImageSource& image) {
    const auto platform = oci::parse_platform(image.platform);
    const bool layout = image.locator.starts_with(kLayoutScheme);
    const oci::Reference reference =
        layout ? reference_of(layout_image(request_, image.locator)) : named_reference(image.locator);
    images_.try_emplace(cat(reference.str(), " ", image.platform),
                        supply::Material{supply::image_purl(layout ? "oci" : "docker", reference, platform),
                                         digest_set(image.manifest)});
  }
  void take(const solver::LocalSource& local) { add_local(local.name); }
  void take(const solver::GitSource& git) {
    const std::string url = git_url(git);
    repositories_.try_emplace(url, supply::Material{url, commit_set(git.commit)});
    is_ssh_used_ = is_ssh_used_ || is_over_ssh(git.remote);
  }
  void take(const solver::HttpSource& http) {
    const std::string url = supply::without_credentials(http.url);
    files_.try_emplace(url, supply::Material{url, digest_set(http.content)});
  }
  template <typename Other>
  void take(const Other&) {}

  const BuildRequest& request_;
  std::map<std::string, supply::Material> images_, repositories_, files_;
  std::set<std::string> locals_;
  bool is_ssh_used_ = false;
};

/// A use that some step needs is not optional.
void add_access(std::vector<supply::AccessUse>& uses, const std::string& id, bool optional) {
  const auto known = std::find_if(uses.begin(), uses.end(), [&](const auto& use) { return use.id == id; });
  if (known == uses.end())
    uses.push_back({id, optional});
  else
    known->optional = known->optional && optional;
}

void SourceList::add_git_access(Provenance& out) const {
  if (repositories_.empty()) return;
  for (const char* id : {"GIT_AUTH_HEADER", "GIT_AUTH_TOKEN"}) add_access(out.secrets, id, true);
  if (is_ssh_used_) add_access(out.ssh, "default", true);
}

void add_accesses(const solver::ExecOp& exec, Provenance& out) {
  if (exec.network != NetworkMode::none) out.network = true;
  for (const solver::ExecMount& mount : exec.mounts) {
    if (const auto* secret = std::get_if<solver::SecretMount>(&mount.what))
      add_access(out.secrets, secret->id, !secret->required);
    if (const auto* ssh = std::get_if<solver::SshMount>(&mount.what)) add_access(out.ssh, ssh->id, !ssh->required);
  }
}

void sort_accesses(std::vector<supply::AccessUse>& uses) {
  std::sort(uses.begin(), uses.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
}

std::string context_argument(const std::string& name, const std::string& value) {
  if (value.starts_with(kLayoutScheme)) {  // without the path on this machine
    const std::string selector = parse_layout_locator(value).selector;
    return cat(kLayoutScheme, name, selector.empty() || selector.starts_with('@') ? "" : ":", selector);
  }
  if (value.find("://") != std::string::npos || RemoteContexts::is_remote(value))
    return supply::without_credentials(value);
  return cat("local:", name);
}

/// The request as the frontend of BuildKit gets it from buildx.
void add_arguments(const BuildRequest& request, const std::string& target, Provenance& out) {
  for (const auto& [name, value] : request.inputs.build_args) {
    if (frontend::sounds_secret(name)) {
      out.hidden.push_back(value);
      out.all_args = false;
    } else {
      out.args[cat("build-arg:", name)] = supply::without_credentials(value);
    }
  }
  for (const auto& [name, value] : request.inputs.labels) out.args[cat("label:", name)] = value;
  for (const auto& [name, value] : request.inputs.named_contexts)
    out.args[cat("context:", name)] = context_argument(name, value);
  if (!target.empty()) out.args["target"] = target;
  if (request.caches.none) out.args["no-cache"] = "";
  if (!request.caches.ignored.empty()) out.args["no-cache"] = join(request.caches.ignored, ",");
  if (!request.steps.extra_hosts.empty()) out.args["add-hosts"] = join(request.steps.extra_hosts, ",");
  if (request.steps.shm_size != 0) out.args["shm-size"] = std::to_string(request.steps.shm_size);
  if (!request.steps.network.empty()) out.args["force-network-mode"] = request.steps.network;
  std::vector<std::string> limits;
  for (const Ulimit& limit : request.steps.ulimits) limits.push_back(cat(limit.name, "=", limit.soft, ":", limit.hard));
  if (!limits.empty()) out.args["ulimit"] = join(limits, ",");
}

/// Where the Dockerfile came from.
void add_config_source(const BuildRequest& request, const LoweredBuild& lowered, Provenance& out) {
  out.dockerfile = lowered.dockerfile_name;
  const auto* url = std::get_if<UrlContext>(&request.inputs.context);
  if (url == nullptr || !lowered.context_source) return;
  out.config_source.uri = supply::without_credentials(url->url);
  if (const auto* git = std::get_if<solver::GitSource>(&*lowered.context_source))
    out.config_source.digest = commit_set(git->commit);
  if (const auto* http = std::get_if<solver::HttpSource>(&*lowered.context_source))
    out.config_source.digest = digest_set(http->content);
}

/// Inputs first, each once, in the order of the way from the target.
void list_steps(const solver::Graph& graph, VertexId target, std::vector<VertexId>& out) {
  std::set<VertexId> begun;
  std::vector<std::pair<VertexId, bool>> open = {{target, false}};  // with whether its inputs were listed
  while (!open.empty()) {
    const auto [id, ready] = open.back();
    open.pop_back();
    if (ready) out.push_back(id);
    if (ready || !begun.insert(id).second) continue;
    open.push_back({id, true});
    const std::vector<VertexId> inputs = llb_inputs(graph[id]);
    for (auto input = inputs.rbegin(); input != inputs.rend(); ++input) open.push_back({*input, false});
  }
}

/// Layers of a result, if each has been packed.
std::vector<oci::Descriptor> packed_layers(cache::Store& store, cache::Packer& packer, const Digest& chain) {
  std::vector<oci::Descriptor> out;
  if (chain.empty() || !store.chain(chain)) return out;
  for (const cache::Layer& layer : packer.packed(chain)) out.push_back(exporter::layer_descriptor(layer, false));
  return out;
}

std::vector<supply::LineRange> lines_of(const solver::Vertex& vertex) {
  std::vector<supply::LineRange> out;
  for (const Span& span : vertex.spans) {
    if (!span) continue;
    const std::size_t last = span.end > span.begin ? span.end - 1 : span.begin;
    out.push_back({span.source->position(span.begin).line, span.source->position(last).line});
  }
  return out;
}

void add_steps(Services& services, const ProvenanceParts& parts, VertexId target, Provenance& out) {
  const solver::Graph& graph = parts.lowered.graph();
  std::vector<VertexId> order;
  list_steps(graph, target, order);
  std::map<VertexId, std::string> ids;
  const LlbNames names{[&](const std::string& locator) { return image_identifier(services.request, locator); },
                       frontend::sounds_secret};
  for (const VertexId id : order) {
    supply::ProvenanceStep step;
    step.digest = graph[id].digest.str();
    for (const VertexId input : llb_inputs(graph[id])) step.inputs.push_back(ids.at(input));
    step.op = llb_json(graph[id], names);
    step.lines = lines_of(graph[id]);
    if (parts.packer != nullptr && id < parts.solved.report.vertices.size())
      step.layers = packed_layers(services.store, *parts.packer, parts.solved.report.vertices[id].result.id);
    ids[id] = cat("step", out.steps.size(), ":0");
    out.steps.push_back(std::move(step));
  }
  out.steps.push_back(
      {sha256(cat("end of ", graph[target].digest.str())).str(), {ids.at(target)}, llb_end_json(), {}, {}});
}

}  // namespace

supply::Provenance provenance_of(Services& services, const ProvenanceParts& parts, std::size_t target,
                                 bool with_steps) {
  const BuildRequest& request = services.request;
  const solver::Graph& graph = parts.lowered.graph();
  const VertexId result = parts.lowered.targets.targets[target].result;
  Provenance out;
  SourceList sources(request);
  for (const VertexId id : graph.reachable({result})) {
    sources.add(graph[id].op);
    if (const auto* exec = std::get_if<solver::ExecOp>(&graph[id].op)) add_accesses(*exec, out);
  }
  if (parts.lowered.context_source) sources.add(*parts.lowered.context_source);
  if (!parts.lowered.context_path.empty())
    for (const char* name : {"context", "dockerfile"}) sources.add_local(name);
  sources.write(out);
  sources.add_git_access(out);
  sort_accesses(out.secrets);
  sort_accesses(out.ssh);
  add_arguments(request, parts.lowered.targets.targets[target].target, out);
  for (const std::string& value : services.secret_values.values()) out.hidden.emplace_back(trim(value));
  add_config_source(request, parts.lowered, out);
  out.vcs = request.inputs.vcs;
  out.builder_platform = oci::host_platform().str();
  out.builder_version = CBUILD_VERSION;
  out.invocation_id = parts.build_id;
  out.started_ns = parts.started_ns;
  out.finished_ns = sys::now_ns();
  if (!with_steps || result == solver::kNoInput) return out;
  add_steps(services, parts, result, out);
  out.dockerfile_text = parts.lowered.dockerfile->text();
  return out;
}

}  // namespace cbuild::engine
