// SPDX-License-Identifier: Apache-2.0
// The registry client as others see it: manifests and blobs, by the distribution-spec. A document is compared with
// every digest that is known of it (reference, header) before it is parsed, and a damaged one is asked for again.
// Requests go through session.h (accounts, redirects, retries); blobs are in blob_fetch.cc and blob_push.cc.
#include "oci/registry/client.h"

#include "base/error.h"
#include "base/text.h"
#include "oci/registry/blob_fetch.h"
#include "oci/registry/blob_push.h"
#include "oci/registry/failure.h"
#include "oci/registry/session.h"
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

Call manifest_call(Session& session, const char* method, const Reference& reference) {
  Call call = session.call(reference, "manifests/" + tag_or_digest(reference), ScopeSet::pull(reference.repository),
                           "pull of " + reference.familiar());
  call.request.method = method;
  call.request.headers.emplace_back("Accept", accepted_types());
  call.request.limit = kMaxManifest;
  return call;
}

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

}  // namespace

struct Client::Impl {
  explicit Impl(Options options) : session(std::move(options)) {}
  FetchedManifest manifest(const Reference& reference, unsigned attempt);

  Session session;
};

/// One that arrives damaged is asked for again; `attempt`: number of the first request.
FetchedManifest Client::Impl::manifest(const Reference& reference, unsigned attempt) {
  const Call call = manifest_call(session, "GET", reference);
  for (unsigned damaged = 1;; ++damaged) {
    Session::Answer answer = session.send(call, attempt);
    const std::optional<http::TransportFailure>& failure = answer.response.failure;
    if (failure && failure->kind == http::TransportFailure::Kind::too_large) {
      throw Error(ErrorCode::corrupt, cat(call.doing, ": manifest is larger than ", kMaxManifest, " bytes"));
    }
    if (!answer.response.ok()) session.fail(call, answer);
    try {
      return read_manifest(reference, answer.response);
    } catch (Error& e) {
      answer.response.failure = {http::TransportFailure::Kind::damaged, e.what()};
      e.add_context(call.doing);
      if (e.code() != ErrorCode::corrupt || !session.again(call, answer, damaged)) throw;
    }
  }
}

Client::Client(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Client::~Client() = default;

FetchedManifest Client::manifest(const Reference& reference) { return impl_->manifest(reference, 1); }

std::optional<Descriptor> Client::resolve(const Reference& reference) {
  const Call call = manifest_call(impl_->session, "HEAD", reference);
  const Session::Answer answer = impl_->session.once(call);
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
    const FetchedManifest fetched = impl_->manifest(reference, answer.response.failure ? 2 : 1);
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
      impl_->session, repository, descriptor, [&] { return store.create(); }, progress);
}

std::string Client::fetch_small_blob(const Reference& repository, const Descriptor& descriptor) {
  if (descriptor.size > kMaxSmallBlob) {
    throw Error(ErrorCode::corrupt, cat("blob ", descriptor.name(), " is larger than ", kMaxSmallBlob, " bytes"));
  }
  std::string out;
  download_blob(
      impl_->session, repository, descriptor, [&] { return std::make_unique<TextWriter>(out); }, nullptr);
  return out;
}

Client::PushOutcome Client::push_blob(const Reference& repository, const Descriptor& descriptor, BlobStore& store,
                                      const std::optional<Reference>& mount_from, const Transferred& progress) {
  return upload_blob(impl_->session, repository, descriptor, store, mount_from, progress);
}

bool Client::offer_blob(const Reference& repository, const Descriptor& descriptor,
                        const std::optional<Reference>& mount_from) {
  return registry::offer_blob(impl_->session, repository, descriptor, mount_from);
}

std::unique_ptr<StreamedUpload> Client::begin_upload(const Reference& repository) {
  return std::make_unique<StreamedUpload>(impl_->session, repository);
}

bool Client::has_manifest(const Reference& reference, const Digest& digest) {
  Call call = manifest_call(impl_->session, "HEAD", reference);
  call.scopes = ScopeSet::push(reference.repository);  // one token for the whole push
  try {
    const Session::Answer answer = impl_->session.once(call);
    return answer.response.ok() && Digest::parse(answer.response.header("docker-content-digest")) == digest;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw;
    return false;
  }
}

Digest Client::push_manifest(const Reference& reference, std::string_view media_type, std::string_view body) {
  const Digest digest = sha256(body);
  if (reference.digest && *reference.digest != digest) {
    throw Error(ErrorCode::corrupt, cat("manifest for ", reference.familiar(), " has digest ", digest.str()));
  }
  const std::string name = reference.tag.empty() ? digest.str() : reference.tag;
  Call call = impl_->session.call(reference, "manifests/" + name, ScopeSet::push(reference.repository),
                                  "push of " + reference.familiar());
  call.request.method = "PUT";
  call.request.headers.emplace_back("Content-Type", std::string(media_type));
  call.request.body = body;
  const Session::Answer answer = impl_->session.send(call);
  if (!answer.response.ok()) impl_->session.fail(call, answer);
  const auto stored = Digest::parse(answer.response.header("docker-content-digest"));
  if (stored && *stored != digest) {
    throw Error(ErrorCode::corrupt,
                cat(call.doing, ": the registry stored ", stored->str(), " instead of ", digest.str()));
  }
  return digest;
}

}  // namespace cbuild::oci::registry
