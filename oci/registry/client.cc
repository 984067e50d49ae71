// SPDX-License-Identifier: Apache-2.0
// The registry client as others see it: manifests and blobs, by the distribution-spec. A document is compared with
// every digest that is known of it (reference, header) before it is parsed, and a damaged one is asked for again.
// Requests go through transport.h (accounts, redirects, retries); blobs are in blob_fetch.cc and blob_push.cc.
#include "oci/registry/client.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "oci/registry/blob_fetch.h"
#include "oci/registry/blob_push.h"
#include "oci/registry/failure.h"
#include "oci/registry/transport.h"
#include "oci/sha512.h"

namespace cbuild::oci::registry {

namespace {

constexpr std::size_t kMaxManifest = 4u << 20, kMaxSmallBlob = 8u << 20;

std::string accepted_types() {
  return cat(media_type::kIndex, ", ", media_type::kManifest, ", ", media_type::kDockerIndex, ", ",
             media_type::kDockerManifest);
}

/// Media type without parameters; "" for those that static file servers give to everything.
std::string media_type_of(const http::Response& response) {
  const std::string_view header = response.header("content-type");
  const std::string type = to_lower(trim(header.substr(0, header.find(';'))));
  const bool says_nothing = type == "application/octet-stream" || type == "application/json" || type == "text/plain";
  return says_nothing ? std::string() : type;
}

std::string tag_or_digest(const Reference& reference) {
  if (!reference.sha512.empty()) return reference.sha512;
  return reference.digest ? reference.digest->str() : reference.tag;
}

/// Collects a small blob in memory.
class TextWriter final : public BlobWriter {
 public:
  explicit TextWriter(std::string& out) : out_(out) { out_.clear(); }
  void write(std::span<const std::byte> data) override {
    out_.append(reinterpret_cast<const char*>(data.data()), data.size());
  }
  Digest commit(const Digest& expected, std::optional<std::uint64_t>) override {
    const Digest digest = sha256(out_);
    if (digest != expected && !expected.empty())
      throw Error(ErrorCode::corrupt, cat("digest is ", digest.str(), " instead of ", expected.str()));
    return digest;
  }

 private:
  std::string& out_;
};

void ask_for_manifest(Call& call, const char* method) {
  call.request.method = method;
  call.request.headers.emplace_back("Accept", accepted_types());
  call.request.limit = kMaxManifest;
}

Call manifest_call(Transport& transport, const char* method, const Source& source) {
  Call call = transport.read(source, "manifests/" + tag_or_digest(source.route.reference));
  ask_for_manifest(call, method);
  return call;
}

routes::Asking asking_for(const Reference& reference) {
  return reference.digest || !reference.sha512.empty() ? routes::Asking::digest : routes::Asking::tag;
}

std::string pull_of(const Reference& reference) { return "pull of " + reference.familiar(); }

/// Proxies and portals answer with pages of their own, and with 200.
void refuse_page(const http::Response& response) {
  const std::string_view type = response.header("content-type");
  if (!type.starts_with("text/html")) return;
  throw Error(ErrorCode::corrupt, "the answer is an HTML page instead of a manifest");
}

FetchedManifest read_manifest(const Reference& reference, const http::Response& response) {
  refuse_page(response);
  FetchedManifest out;
  out.digest = sha256(response.body);
  const std::string_view header = response.header("docker-content-digest");
  const std::string by_sha512 = !reference.sha512.empty() ? reference.sha512
                                : is_sha512(header)       ? std::string(header)
                                                          : std::string();
  if (!by_sha512.empty() && sha512(response.body) != by_sha512)
    throw Error(ErrorCode::corrupt, cat("manifest has another digest than ", by_sha512));
  const std::optional<Digest> stated = Digest::parse(header);
  const std::optional<Digest>& expected = reference.digest ? reference.digest : stated;
  if (expected && *expected != out.digest) {
    throw Error(ErrorCode::corrupt, cat("manifest has digest ", out.digest.str(), " instead of ", expected->str()));
  }
  const auto parsed = parse_manifest(response.body, media_type_of(response), Digests::any);
  out.media_type = std::visit([](const auto& document) { return document.media_type; }, parsed);
  out.body = response.body;
  return out;
}

/// Where the referrers of a manifest are listed by a registry without the API.
Reference referrers_tag(const Reference& repository, const Digest& subject) {
  return {repository.registry, repository.repository, "sha256-" + subject.hex(), std::nullopt, {}};
}

/// image-spec, image-index.md: the artifact's type, or that of its config, and its annotations.
Descriptor referrer_entry(const Manifest& manifest, const Digest& digest, std::string_view media_type,
                          std::uint64_t size) {
  Descriptor out;
  out.media_type = media_type;
  out.digest = digest;
  out.size = size;
  out.artifact_type = manifest.artifact_type.empty() ? manifest.config.media_type : manifest.artifact_type;
  out.annotations = manifest.annotations;
  return out;
}

}  // namespace

struct Client::Impl {
  explicit Impl(Options options) : transport(std::move(options)) {}
  FetchedManifest manifest(const Reference& reference);
  FetchedManifest manifest(const Source& source, unsigned attempt);
  std::optional<Descriptor> resolve(const Source& source);
  std::vector<Descriptor> referrers(const Source& source, const Digest& subject);
  std::vector<Descriptor> referrers_upstream(const Reference& repository, const Digest& subject);
  http::Response put_manifest(const Reference& reference, std::string_view media_type, std::string_view body);

  Transport transport;
};

FetchedManifest Client::Impl::manifest(const Reference& reference) {
  FetchedManifest out;
  transport.sources().ask(reference, asking_for(reference), pull_of(reference),
                          [&](const Source& source) { out = manifest(source, 1); });
  return out;
}

/// One that arrives damaged is asked for again; `attempt`: number of the first request.
FetchedManifest Client::Impl::manifest(const Source& source, unsigned attempt) {
  const Reference& reference = source.route.reference;
  const Call call = manifest_call(transport, "GET", source);
  for (unsigned damaged = 1;; ++damaged) {
    Transport::Answer answer = transport.send(call, attempt);
    const std::optional<http::TransportFailure>& failure = answer.response.failure;
    if (failure && failure->kind == http::TransportFailure::Kind::too_large) {
      throw Error(ErrorCode::corrupt, cat(call.doing, ": manifest is larger than ", kMaxManifest, " bytes"));
    }
    if (!answer.response.ok()) transport.fail(call, answer);
    try {
      return read_manifest(reference, answer.response);
    } catch (Error& e) {
      answer.response.failure = {http::TransportFailure::Kind::damaged, e.what()};
      e.add_context(call.doing);
      if (e.code() != ErrorCode::corrupt || !transport.again(call, answer, damaged)) throw;
    }
  }
}

Client::Client(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Client::~Client() = default;

FetchedManifest Client::manifest(const Reference& reference, From from) {
  if (from == From::mirrors) return impl_->manifest(reference);
  return impl_->manifest({impl_->transport.written_at(reference), false, pull_of(reference)}, 1);
}

std::optional<Descriptor> Client::resolve(const Reference& reference) {
  std::optional<Descriptor> out;
  impl_->transport.sources().ask(reference, asking_for(reference), pull_of(reference), [&](const Source& source) {
    out = impl_->resolve(source);
    if (!out && source.has_alternative) throw Error(ErrorCode::not_found, "404");
  });
  return out;
}

std::optional<Descriptor> Client::Impl::resolve(const Source& source) {
  const Reference& reference = source.route.reference;
  const Call call = manifest_call(transport, "HEAD", source);
  const Transport::Answer answer = transport.once(call);
  if (!answer.response.failure && answer.response.status == 404) return std::nullopt;
  Descriptor out;
  out.media_type = media_type_of(answer.response);
  const auto digest = Digest::parse(answer.response.header("docker-content-digest"));
  const auto size = parse_int(answer.response.header("content-length"));
  const bool complete =
      answer.response.ok() && digest && size && *size > 0 && (is_manifest(out.media_type) || is_index(out.media_type));
  if (complete && reference.sha512.empty() && (!reference.digest || *reference.digest == *digest)) {
    out.digest = *digest;
    out.size = static_cast<std::uint64_t>(*size);
    return out;
  }
  // No HEAD (405), headers missing, or a refusal whose reason only a body can tell. GET does the retrying.
  try {
    const FetchedManifest fetched = manifest(source, answer.response.failure ? 2 : 1);
    out.media_type = fetched.media_type;
    out.digest = fetched.digest;
    out.size = fetched.body.size();
    return out;
  } catch (const Error& e) {
    if (e.code() == ErrorCode::not_found) return std::nullopt;
    throw;
  }
}

Digest Client::fetch_blob(const Reference& repository, const Descriptor& descriptor, BlobStore& store,
                          const Transferred& progress) {
  if (descriptor.sha512.empty() && store.size(descriptor.digest) == descriptor.size) return descriptor.digest;
  return download_blob(
      impl_->transport, repository, descriptor, [&] { return store.create(); }, progress);
}

std::optional<std::string> Client::fetch_range(const Reference& repository, const Descriptor& descriptor,
                                               std::uint64_t offset, std::uint64_t size) {
  if (size == 0 || offset + size > descriptor.size) return std::nullopt;
  const std::string doing = cat("pull of ", descriptor.name(), " from ", repository.name());
  std::optional<std::string> out;
  try {
    impl_->transport.sources().ask(repository, routes::Asking::blob, doing, [&](const Source& source) {
      Call call = impl_->transport.read(source, "blobs/" + descriptor.name());
      call.request.headers.emplace_back("Range", cat("bytes=", offset, '-', offset + size - 1));
      call.request.limit = size;
      Transport::Answer answer = impl_->transport.send(call);
      const std::string_view range = answer.response.header("content-range");
      if (answer.response.failure || answer.response.status != 206 || answer.response.body.size() != size ||
          !range.starts_with(cat("bytes ", offset, '-')))
        throw Error(ErrorCode::not_found, "it does not give blobs in parts");
      out = std::move(answer.response.body);
    });
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw;
  }
  return out;
}

std::string Client::fetch_small_blob(const Reference& repository, const Descriptor& descriptor) {
  if (descriptor.size > kMaxSmallBlob) {
    throw Error(ErrorCode::corrupt, cat("blob ", descriptor.name(), " is larger than ", kMaxSmallBlob, " bytes"));
  }
  std::string out;
  download_blob(
      impl_->transport, repository, descriptor, [&] { return std::make_unique<TextWriter>(out); }, nullptr);
  return out;
}

Client::PushOutcome Client::push_blob(const Reference& repository, const Descriptor& descriptor, BlobStore& store,
                                      const std::optional<Reference>& mount_from, const Transferred& progress) {
  return upload_blob(impl_->transport, repository, descriptor, store, mount_from, progress);
}

bool Client::offer_blob(const Reference& repository, const Descriptor& descriptor,
                        const std::optional<Reference>& mount_from) {
  return registry::offer_blob(impl_->transport, repository, descriptor, mount_from);
}

std::unique_ptr<StreamedUpload> Client::begin_upload(const Reference& repository) {
  return std::make_unique<StreamedUpload>(impl_->transport, repository);
}

bool Client::has_manifest(const Reference& reference, const Digest& digest) {
  try {
    Call call = impl_->transport.call(reference, "manifests/" + tag_or_digest(reference),
                                      ScopeSet::push(reference.repository),  // one token for the whole push
                                      pull_of(reference));
    ask_for_manifest(call, "HEAD");
    const Transport::Answer answer = impl_->transport.once(call);
    return answer.response.ok() && Digest::parse(answer.response.header("docker-content-digest")) == digest;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw;
    return false;
  }
}

http::Response Client::Impl::put_manifest(const Reference& reference, std::string_view media_type,
                                          std::string_view body) {
  const Digest digest = sha256(body);
  if (reference.digest && *reference.digest != digest) {
    throw Error(ErrorCode::corrupt, cat("manifest for ", reference.familiar(), " has digest ", digest.str()));
  }
  const std::string name = reference.tag.empty() ? digest.str() : reference.tag;
  Call call = transport.call(reference, "manifests/" + name, ScopeSet::push(reference.repository),
                             "push of " + reference.familiar());
  call.request.method = "PUT";
  call.request.headers.emplace_back("Content-Type", std::string(media_type));
  call.request.body = body;
  Transport::Answer answer = transport.send(call);
  if (!answer.response.ok()) transport.fail(call, answer);
  const auto stored = Digest::parse(answer.response.header("docker-content-digest"));
  if (stored && *stored != digest) {
    throw Error(ErrorCode::corrupt,
                cat(call.doing, ": the registry stored ", stored->str(), " instead of ", digest.str()));
  }
  return std::move(answer.response);
}

Digest Client::push_manifest(const Reference& reference, std::string_view media_type, std::string_view body) {
  impl_->put_manifest(reference, media_type, body);
  return sha256(body);
}

Digest Client::push_referrer(const Reference& repository, std::string_view media_type, std::string_view body) {
  const auto parsed = parse_manifest(body);
  const auto* manifest = std::get_if<Manifest>(&parsed);
  if (manifest == nullptr || !manifest->subject)
    throw Error(ErrorCode::input, cat("the manifest for ", repository.name(), " has no subject"));
  Reference own{repository.registry, repository.repository, {}, sha256(body), {}};
  const http::Response answer = impl_->put_manifest(own, media_type, body);
  if (!answer.header("oci-subject").empty()) return *own.digest;
  const Digest& subject = manifest->subject->digest;
  Index index;
  index.manifests = impl_->referrers_upstream(repository, subject);
  const auto is_own = [&](const Descriptor& entry) { return entry.digest == *own.digest; };
  if (std::any_of(index.manifests.begin(), index.manifests.end(), is_own)) return *own.digest;
  index.manifests.push_back(referrer_entry(*manifest, *own.digest, media_type, body.size()));
  push_manifest(referrers_tag(repository, subject), index.media_type, to_json(index));
  return *own.digest;
}

Client::AccountCheck Client::check_account(const std::string& registry) {
  Call call = impl_->transport.call({registry, {}, {}, {}, {}}, {}, {}, "login at " + registry);
  call.request.url.path = call.endpoint.root + "/";
  const Transport::Answer answer = impl_->transport.send(call);
  if (!answer.response.ok()) impl_->transport.fail(call, answer);
  return {impl_->transport.asks_for_account(call.endpoint), impl_->transport.identity_token()};
}

std::vector<Descriptor> Client::Impl::referrers(const Source& source, const Digest& subject) {
  const auto entries = [](std::string_view body, std::string_view type) {
    const auto document = parse_manifest(body, type);
    const auto* index = std::get_if<Index>(&document);
    return index == nullptr ? std::vector<Descriptor>() : index->manifests;
  };
  Call call = transport.read(source, "referrers/" + subject.str());
  call.request.headers.emplace_back("Accept", std::string(media_type::kIndex));
  call.request.limit = kMaxManifest;
  const Transport::Answer answer = transport.send(call);
  if (answer.response.ok() && media_type_of(answer.response) == media_type::kIndex)
    return entries(answer.response.body, media_type::kIndex);
  Source tagged = source;
  tagged.route.reference = referrers_tag(source.route.reference, subject);
  try {
    const FetchedManifest found = manifest(tagged, 1);
    return entries(found.body, found.media_type);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::not_found) throw;
  }
  return {};
}

/// Where a push writes, because what is read is written back.
std::vector<Descriptor> Client::Impl::referrers_upstream(const Reference& repository, const Digest& subject) {
  const Source source{transport.written_at(repository), false, "referrers of " + repository.familiar()};
  return referrers(source, subject);
}

std::vector<Descriptor> Client::referrers(const Reference& repository, const Digest& subject) {
  std::vector<Descriptor> out;
  impl_->transport.sources().ask(repository, routes::Asking::tag, "referrers of " + repository.familiar(),
                                 [&](const Source& source) {
                                   out = impl_->referrers(source, subject);
                                   if (out.empty() && source.has_alternative) throw Error(ErrorCode::not_found, "none");
                                 });
  return out;
}

}  // namespace cbuild::oci::registry
