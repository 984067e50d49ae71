// SPDX-License-Identifier: Apache-2.0
// Images from outside the store. Resolving one walks indexes down to the manifest for the platform and keeps that and
// the config; its layers are fetched when something has to read them. Layers that a remote cache named may be gone:
// they are forgotten then, and the build makes them itself (missing_content.h). Other digests than sha256 end here.
#include "engine/remote.h"

#include <algorithm>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/blob_places.h"
#include "cache/cached_layers.h"
#include "cache/remote/read_cache.h"
#include "cache/source_metadata.h"
#include "engine/request/source_redirect.h"
#include "oci/image_config.h"
#include "oci/layout.h"
#include "oci/manifest.h"

namespace cbuild::engine {
namespace {

using cache::kImageScheme;
constexpr std::string_view kOciLayoutScheme = "oci-layout://";
constexpr TaskId kFirstFetchTask = TaskId{1} << 40;
constexpr unsigned kMaxIndexDepth = 4;
constexpr std::chrono::milliseconds kLeastSilence{5000};  ///< a busy server or machine may be silent for that long
constexpr unsigned kCacheAttempts = 2;  ///< a cache that does not answer is a miss, not worth a long wait

std::string platforms_of(const oci::Index& index) {
  std::vector<std::string> names;
  for (const oci::Descriptor& entry : index.manifests)
    if (entry.platform && entry.platform->os != "unknown") names.push_back(entry.platform->str());
  return names.empty() ? "none" : join(names, ", ");
}

[[noreturn]] void no_platform(const std::string& name, const oci::Platform& wanted, const std::string& has) {
  throw Error(ErrorCode::unsupported, cat("no image for platform ", wanted.str(), " in ", name))
      .with_hint(cat("it has: ", has, "; choose one with --platform"));
}

[[noreturn]] void no_image(const std::string& name) {
  throw Error(ErrorCode::input, cat(name, " is a build cache of BuildKit, not an image"))
      .with_hint("is the tag right? caches are exported under tags of their own");
}

/// Reads a document by descriptor and walks indexes down to the manifest for a platform.
using DocumentReader = std::function<std::string(const oci::Descriptor&)>;

struct FoundManifest {
  oci::Manifest manifest;
  Digest digest;
  std::string body;
};

/// Where the store keeps the other digest of a blob: the sha256 by the sha512, and the other way round.
Digest sha512_key(const std::string& name) { return CanonicalWriter().text("sha512").text(name).hash(); }

/// Gives a blob that its image names by sha512 the digest that the store knows it by. `fetch` fetches and verifies it.
void settle(cache::Store& store, oci::Descriptor& blob, const std::function<Digest(const oci::Descriptor&)>& fetch) {
  if (blob.sha512.empty()) return;
  const auto text = cache::read_source_metadata(store, sha512_key(blob.sha512));
  const auto known = text ? Digest::parse(*text) : std::nullopt;
  if (known && store.blobs().size(*known) == blob.size) {
    blob.digest = *known;
  } else {
    blob.digest = fetch(blob);
    cache::write_source_metadata(store, sha512_key(blob.sha512), blob.digest.str());
    cache::write_source_metadata(store, sha512_key(blob.digest.str()), blob.sha512);
  }
  blob.sha512.clear();
}

/// Everything else knows sha256 only, so blobs by sha512 are brought at once, and the manifest names them by sha256.
void settle(cache::Store& store, FoundManifest& found, const std::function<Digest(const oci::Descriptor&)>& fetch) {
  if (!oci::has_sha512(found.manifest)) return;
  settle(store, found.manifest.config, fetch);
  for (oci::Descriptor& layer : found.manifest.layers) settle(store, layer, fetch);
  found.body = oci::to_json(found.manifest);
  found.digest = sha256(found.body);
}

FoundManifest find_manifest(std::string body, const std::string& content_type, const oci::Platform& wanted,
                            const std::string& name, const DocumentReader& read) {
  std::string type = content_type;
  for (unsigned depth = 0; depth < kMaxIndexDepth; ++depth) {
    auto document = oci::parse_manifest(body, type, oci::Digests::any);
    if (cache::is_buildkit_cache(document)) no_image(name);
    if (auto* manifest = std::get_if<oci::Manifest>(&document)) {
      const Digest digest = sha256(body);
      return {std::move(*manifest), digest, std::move(body)};
    }
    const auto& index = std::get<oci::Index>(document);
    const oci::Descriptor* chosen = oci::select_platform(index, wanted);
    if (chosen == nullptr && index.manifests.size() == 1 && !index.manifests[0].platform) chosen = &index.manifests[0];
    if (chosen == nullptr) no_platform(name, wanted, platforms_of(index));
    const oci::Descriptor next = *chosen;
    body = read(next);
    type = next.media_type;
  }
  throw Error(ErrorCode::corrupt, cat(name, ": indexes nested too deeply"));
}

/// The image that holds the layer.
std::string locator_of(const cache::Layer& layer) {
  return cache::is_from_cache(layer) ? layer.fetch_from.substr(cache::kCacheOrigin.size()) : layer.fetch_from;
}

oci::Reference parse_image_name(const std::string& text) {
  return oci::parse_reference(text.starts_with(kImageScheme) ? text.substr(kImageScheme.size()) : text);
}

[[noreturn]] void refuse_to_ask(const oci::Reference& reference) {
  throw Error(ErrorCode::not_found,
              cat(reference.familiar(), " is not in the store, and --pull=never forbids to ask a registry"));
}

/// The image of that digest under a name or in a layout.
std::string with_digest(const std::string& name, const Digest& digest) {
  if (name.starts_with(kOciLayoutScheme))
    return cat(kOciLayoutScheme, parse_layout_locator(name).path, "@", digest.str());
  oci::Reference reference = parse_image_name(name);
  if (reference.digest && reference.digest != digest)
    throw Error(ErrorCode::input,
                cat("the lock file has ", digest.str(), ", and the source policy another digest: ", reference.str()));
  reference.digest = digest;
  return reference.str();
}

/// The name of an image for one platform in the store.
std::string kept_name(const oci::Reference& reference, const oci::Platform& platform) {
  const bool native = oci::match_score(platform, oci::host_platform()) > 0;
  return native ? reference.str() : cat(reference.str(), " ", platform.str());
}

}  // namespace

LayoutLocator parse_layout_locator(const std::string& locator) {
  std::string rest = locator.substr(kOciLayoutScheme.size());
  if (const std::size_t at = rest.rfind('@'); at != std::string::npos) return {rest.substr(0, at), rest.substr(at)};
  const std::size_t colon = rest.rfind(':');
  const std::size_t slash = rest.rfind('/');
  if (colon != std::string::npos && (slash == std::string::npos || colon > slash))
    return {rest.substr(0, colon), rest.substr(colon + 1)};
  return {rest, ""};
}

Remote::Remote(cache::Store& store, const SourceSettings& settings, ProgressSink& progress, const CancelSource& cancel)
    : store_(store), settings_(settings), progress_(progress), cancel_(cancel), next_task_(kFirstFetchTask) {}
Remote::~Remote() = default;

oci::registry::Client& Remote::registry() {
  const std::lock_guard lock(mutex_);
  if (!client_) client_ = new_client(cancel_, oci::registry::Options().max_attempts);
  return *client_;
}

bool Remote::has_asked() {
  const std::lock_guard lock(mutex_);
  return client_ != nullptr;
}

std::unique_ptr<oci::registry::Client> Remote::new_client(const CancelSource& cancel, unsigned max_attempts) {
  return std::make_unique<oci::registry::Client>(client_options(cancel, max_attempts));
}

std::unique_ptr<oci::registry::Client> Remote::new_cache_client(const CancelSource& cancel, const CacheRace& race) {
  oci::registry::Options options = client_options(cancel, kCacheAttempts);
  for (std::chrono::milliseconds* limit : {&options.limits.connect, &options.limits.answer, &options.limits.window})
    *limit = std::min(*limit, std::max(race.patience, kLeastSilence));
  return std::make_unique<oci::registry::Client>(std::move(options));
}

/// Layers of caches have limits of their own, whatever registry they lie in.
oci::registry::Client& Remote::client_for(const cache::Layer& layer) {
  if (!cache::is_from_cache(layer) || !race_.steps_ns) return registry();
  const std::lock_guard lock(mutex_);
  if (!cache_client_) cache_client_ = new_cache_client(cancel_, race_);
  return *cache_client_;
}

cache::ObjectOptions Remote::object_options(const CancelSource& cancel, const CacheRace* race) {
  cache::ObjectOptions options;
  options.limits = settings_.transfer_limits;
  options.cancel = &cancel;
  options.warn = [this](const std::string& text) { progress_.on_event(RunNote{Severity::warning, text}); };
  if (race == nullptr) return options;
  options.max_attempts = kCacheAttempts;
  for (std::chrono::milliseconds* limit : {&options.limits.connect, &options.limits.answer, &options.limits.window})
    *limit = std::min(*limit, std::max(race->patience, kLeastSilence));
  return options;
}

void Remote::add_cache(std::unique_ptr<cache::CacheBackend> backend) {
  std::string locator = backend->locator();
  caches_.try_emplace(std::move(locator), std::move(backend));
}

oci::registry::Options Remote::client_options(const CancelSource& cancel, unsigned max_attempts) {
  oci::registry::Options options;
  options.insecure = settings_.insecure_registries;
  options.auth_file = settings_.auth_file;
  options.find_account = settings_.account;
  options.files = settings_.registry_files;
  options.limits = settings_.transfer_limits;
  options.max_attempts = max_attempts;
  options.cancel = &cancel;
  options.warn = [this](const std::string& text) { progress_.on_event(RunNote{Severity::warning, text}); };
  return options;
}

void Remote::fetch_from_layout(const std::string& locator, const oci::Descriptor& blob, oci::BlobStore& into) {
  oci::ImageLayout layout = oci::ImageLayout::open(parse_layout_locator(locator).path);
  oci::copy_file(layout.open_blob(blob).get(), into, blob);
}

void Remote::fetch_from(const cache::Layer& layer, oci::BlobStore& into, TaskId task) {
  const bool from_cache = cache::is_from_cache(layer);
  const std::string locator = locator_of(layer);
  oci::Descriptor blob = *layer.blob;
  if (const auto name = cache::read_source_metadata(store_, sha512_key(blob.digest.str()))) blob.sha512 = *name;
  if (locator.starts_with(kOciLayoutScheme)) return fetch_from_layout(locator, blob, into);
  const std::int64_t began_ns = sys::monotonic_ns();
  const auto told = [&](std::uint64_t bytes, std::uint64_t total) {
    if (from_cache && is_too_slow(race_, locator, sys::monotonic_ns() - began_ns, bytes, total))
      throw Error(ErrorCode::network, cat("its registry is so slow that running the steps takes less time (",
                                          format_size(bytes), " of ", format_size(total), " came)"));
    progress_.on_event(TaskCounter{task, blob.digest.str(), bytes, total, true, bytes == total});
  };
  if (const auto own = caches_.find(locator); own != caches_.end()) return own->second->fetch_blob(blob, into, told);
  if (!locator.starts_with(kImageScheme))
    throw Error(ErrorCode::not_found, cat(locator, " is not among the caches of this build"));
  client_for(layer).fetch_blob(oci::parse_reference(locator.substr(kImageScheme.size())), blob, into, told);
}

std::optional<std::string> Remote::read_range(const cache::Layer& layer, std::uint64_t offset, std::uint64_t size) {
  const auto reference = cache::is_from_cache(layer) ? std::nullopt : cache::image_reference(layer.fetch_from);
  if (!layer.blob || !reference) return std::nullopt;
  return registry().fetch_range(*reference, *layer.blob, offset, size);
}

/// A registry that is down is not asked again for each of its layers.
void Remote::report_missing(const cache::Layer& layer, const Error& error) {
  cache::forget_missing_layer(store_, layer.id, error.code() == ErrorCode::network ? layer.fetch_from : std::string());
  throw Error(ErrorCode::missing_content, cat("a layer of the remote cache is not available: ", error.what()));
}

void Remote::fetch(const cache::Layer& layer, oci::BlobStore& into) {
  if (!layer.blob || layer.fetch_from.empty()) {
    if (layer.blob) store_.forget_blob(layer.blob->digest);
    throw Error(ErrorCode::missing_content, cat("store: the blob of layer ", layer.id.str(), " is gone"));
  }
  const bool from_cache = cache::is_from_cache(layer);
  if (from_cache && cache::is_missing_origin(store_, layer.fetch_from))
    report_missing(layer, Error(ErrorCode::network, cat(locator_of(layer), " is not asked any more")));
  const TaskId task = next_task_++;
  progress_.on_event(TaskAdded{task, cat("pull ", layer.blob->digest.str()), {}});
  progress_.on_event(TaskStarted{task, sys::monotonic_ns(), {}});
  try {
    fetch_from(layer, into, task);
  } catch (const Error& error) {
    progress_.on_event(TaskFinished{task, sys::monotonic_ns(), TaskState::failed, error.what()});
    const bool ours = error.code() == ErrorCode::cancelled || error.code() == ErrorCode::no_space;
    if (from_cache && !ours) report_missing(layer, error);
    if (!ours && error.code() != ErrorCode::missing_content) throw PullError(error);
    throw;
  }
  progress_.on_event(TaskFinished{task, sys::monotonic_ns(), TaskState::ok, {}});
}

/// The host's platform is kept under the plain name, others under longer ones; an index of several that was built here
/// has the plain one.
std::optional<frontend::ResolvedImage> StoreImageResolver::from_store(const oci::Reference& reference,
                                                                      const oci::Platform& platform) {
  oci::Reference bare = reference;
  bare.digest.reset();
  bare.sha512.clear();
  const std::string locator = cat(kImageScheme, bare.str()), own = kept_name(reference, platform);
  if (const auto image = store_.image(own))
    if (auto found = kept_image(image->manifest, locator, platform, false)) return found;
  if (reference.digest)  // an image that was made here has no digest in its name
    if (const auto image = store_.image(bare.str()); image && image->manifest == *reference.digest)
      return kept_image(image->manifest, locator, platform, false);
  if (own == reference.str()) return std::nullopt;
  const auto image = store_.image(reference.str());
  return image ? kept_image(image->manifest, locator, platform, true) : std::nullopt;
}

std::optional<frontend::ResolvedImage> StoreImageResolver::kept_image(const Digest& top, const std::string& locator,
                                                                      const oci::Platform& platform, bool index_only) {
  const auto body = read_document(top);
  if (!body) return std::nullopt;
  const auto document = oci::parse_manifest(*body);
  if (const auto* index = std::get_if<oci::Index>(&document)) {
    const oci::Descriptor* chosen = oci::select_platform(*index, platform);
    const bool again = chosen == nullptr || oci::is_index(chosen->media_type);
    return again ? std::nullopt : kept_image(chosen->digest, locator, platform, false);
  }
  if (index_only) return std::nullopt;
  const auto config = read_document(std::get<oci::Manifest>(document).config.digest);
  if (!config) return std::nullopt;
  return frontend::ResolvedImage{top, oci::parse_image_config(*config), cat(locator, "@", top.str())};
}

/// A damaged one is dropped, so that it is asked for again.
std::optional<std::string> StoreImageResolver::read_document(const Digest& digest) {
  if (!store_.blobs().size(digest)) return std::nullopt;
  try {
    return oci::read_blob(store_.blobs(), digest);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::missing_content) throw;
    store_.forget_blob(digest);
    return std::nullopt;
  }
}

frontend::ResolvedImage StoreImageResolver::from_layout(const std::string& locator, const oci::Platform& platform) {
  const auto [path, selector] = parse_layout_locator(locator);
  oci::ImageLayout layout = oci::ImageLayout::open(path);
  const oci::Descriptor top = layout.find(selector);
  const auto fetch = [&](const oci::Descriptor& d) {
    return oci::copy_file(layout.open_blob(d).get(), store_.blobs(), d);
  };
  const auto read = [&](const oci::Descriptor& d) {
    return d.sha512.empty() ? oci::read_blob(layout.blobs(), d.digest) : oci::read_blob(store_.blobs(), fetch(d));
  };
  FoundManifest found = find_manifest(read(top), top.media_type, platform, locator, read);
  const oci::Descriptor named = found.manifest.config;
  settle(store_, found, fetch);
  const auto here = read_document(found.manifest.config.digest);
  const std::string config = here ? *here : read(named);
  oci::put_blob(store_.blobs(), found.body, found.manifest.media_type);
  oci::put_blob(store_.blobs(), config, found.manifest.config.media_type);
  return {found.digest, oci::parse_image_config(config), cat(kOciLayoutScheme, path, "@", found.digest.str())};
}

frontend::ResolvedImage StoreImageResolver::from_registry(const oci::Reference& reference,
                                                          const oci::Platform& platform) {
  const SignaturePolicy* policy = remote_.signatures();
  if (policy != nullptr) policy->check_name(reference);
  oci::registry::Client& client = remote_.registry();
  const oci::registry::FetchedManifest top = client.manifest(reference);
  if (policy != nullptr) policy->check(reference, top.digest, client);
  const auto read = [&](const oci::Descriptor& d) {
    oci::Reference child = reference;
    child.tag.clear();
    child.digest = d.sha512.empty() ? std::optional(d.digest) : std::nullopt;
    child.sha512 = d.sha512;
    return client.manifest(child).body;
  };
  FoundManifest found = find_manifest(top.body, top.media_type, platform, reference.familiar(), read);
  const oci::Descriptor named = found.manifest.config;
  settle(store_, found, [&](const oci::Descriptor& d) { return client.fetch_blob(reference, d, store_.blobs()); });
  const auto here = read_document(found.manifest.config.digest);
  const std::string config = here ? *here : client.fetch_small_blob(reference, named);
  oci::put_blob(store_.blobs(), found.body, found.manifest.media_type);
  oci::put_blob(store_.blobs(), config, found.manifest.config.media_type);
  oci::Reference pinned = reference;
  pinned.digest = found.digest;
  pinned.sha512.clear();
  return {found.digest, oci::parse_image_config(config), cat(kImageScheme, pinned.str())};
}

// A policy sees the name as the Dockerfile has it; the lock file's digest is that of what the policy makes of it.
frontend::ResolvedImage StoreImageResolver::resolve(const std::string& text, const Digest& locked,
                                                    const oci::Platform& platform) {
  const std::string name = redirected(text);
  return find(locked.empty() ? name : with_digest(name, locked), platform, pull_ == PullPolicy::always);
}

frontend::ResolvedImage StoreImageResolver::resolve_present(const std::string& text, const Digest& locked,
                                                            const oci::Platform& platform) {
  const std::string name = redirected(text);
  return find(locked.empty() ? name : with_digest(name, locked), platform, pull_ != PullPolicy::never);
}

bool StoreImageResolver::may_ask() const { return !(pull_ == PullPolicy::never); }

std::string StoreImageResolver::redirected(const std::string& text) const {
  const SourcePolicy* policy = remote_.policy();
  return policy == nullptr ? text : redirect_image(*policy, text);
}

Digest StoreImageResolver::present(const std::string& text) {
  const std::string name = redirected(text);
  if (name.starts_with(kOciLayoutScheme)) {
    const auto [path, selector] = parse_layout_locator(name);
    return oci::ImageLayout::open(path).find(selector).digest;
  }
  const oci::Reference reference = parse_image_name(name);
  if (reference.digest) return *reference.digest;
  const auto kept = store_.image(reference.str());
  if (!may_ask() && kept) return kept->manifest;
  if (!may_ask()) refuse_to_ask(reference);
  try {
    if (const auto found = remote_.registry().resolve(reference)) return found->digest;
  } catch (const Error& error) {
    if (!kept || error.code() != ErrorCode::denied) throw;  // Docker Hub's answer for names that it does not have
  }
  if (kept) return kept->manifest;
  throw Error(ErrorCode::not_found, cat(reference.familiar(), ": not found"));
}

frontend::ResolvedImage StoreImageResolver::find(const std::string& text, const oci::Platform& platform, bool ask) {
  if (text.starts_with(kOciLayoutScheme)) return from_layout(text, platform);
  const oci::Reference reference = parse_image_name(text);
  // A signature is of what the registry gives, so an image that needs one is never taken from the store unseen.
  const bool is_checked = remote_.signatures() != nullptr && remote_.signatures()->concerns(reference);
  if (!ask && !is_checked)
    if (auto known = from_store(reference, platform)) return std::move(*known);
  if (!may_ask()) refuse_to_ask(reference);
  frontend::ResolvedImage image = from_registry(reference, platform);
  if (oci::match_score(platform, image.config.platform) > 0)
    store_.set_image({kept_name(reference, platform), image.manifest, sys::now_ns()});
  return image;
}

}  // namespace cbuild::engine
