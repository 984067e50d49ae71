// SPDX-License-Identifier: Apache-2.0
// A client's session itself, and the calls of one question and one answer: secrets, accounts, agents.
#include "api/session/client_session.h"

#include <algorithm>
#include <utility>

#include "api/proto/filesync.grpc.pb.h"
#include "api/proto/secrets.grpc.pb.h"
#include "api/proto/ssh.grpc.pb.h"
#include "api/session/session_impl.h"
#include "base/error.h"
#include "base/text.h"

namespace cbuild::api {
namespace {

constexpr std::size_t kMaxMethods = 256, kMaxHeaderText = 4096;
constexpr std::size_t kPublicKeySize = 32;

bool is_plain(std::string_view text) {
  return text.size() <= kMaxHeaderText && std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

std::string first_value(const std::multimap<std::string, std::string>& metadata, const std::string& key) {
  const auto found = metadata.find("x-docker-expose-session-" + key);
  return found == metadata.end() ? std::string() : found->second;
}

/// A client may have its accounts or tokens elsewhere.
bool is_not_offered(const grpc::Status& status, const SessionChannel& session) {
  return status.error_code() == grpc::UNIMPLEMENTED ||
         (status.error_code() == grpc::UNAVAILABLE && session.tunnel.is_open());
}

}  // namespace

SessionHeader SessionHeader::parse(const std::multimap<std::string, std::string>& metadata) {
  SessionHeader header{
      first_value(metadata, "uuid"), first_value(metadata, "name"), first_value(metadata, "sharedkey"), {}};
  if (header.id.empty() || !is_plain(header.id))
    throw Error(ErrorCode::usage, "the client's session has no usable x-docker-expose-session-uuid");
  if (header.name.size() > kMaxHeaderText || header.shared_key.size() > kMaxHeaderText)
    throw Error(ErrorCode::usage, "the name or the key of the client's session is too long");
  const auto [begin, end] = metadata.equal_range("x-docker-expose-session-grpc-method");
  for (auto entry = begin; entry != end; ++entry)
    if (is_plain(entry->second)) header.methods.push_back(entry->second);
  if (header.methods.size() > kMaxMethods)
    throw Error(ErrorCode::usage, "the client's session offers too many methods");
  return header;
}

ClientSession::ClientSession(SessionHeader header, SessionStream stream, const SessionSettings& settings)
    : impl_(std::make_unique<Impl>(std::move(header), std::move(stream), settings)) {}

ClientSession::~ClientSession() = default;

const SessionHeader& ClientSession::header() const { return impl_->channel.header; }
bool ClientSession::offers(std::string_view method) const { return impl_->channel.offers(method); }
bool ClientSession::is_open() const { return impl_->channel.tunnel.is_open(); }
void ClientSession::close() noexcept { impl_->channel.tunnel.close(); }
void ClientSession::wait_closed() { impl_->channel.tunnel.wait_closed(); }

std::optional<std::string> ClientSession::secret(const std::string& id, const CancelSource* cancel) {
  using namespace ::moby::buildkit::secrets::v1;
  const SessionChannel& session = impl_->channel;
  const std::string subject = cat("secret '", id, "' of the client");
  if (!session.offers(method::kSecret)) return std::nullopt;
  ClientCall call(session, subject, cancel, session.settings.call_timeout);
  GetSecretRequest request;
  request.set_id(id);
  GetSecretResponse response;
  const grpc::Status status = Secrets::NewStub(session.channel)->GetSecret(call.context(), request, &response);
  if (status.error_code() == grpc::NOT_FOUND || status.error_code() == grpc::UNIMPLEMENTED) return std::nullopt;
  call.check(status);
  return std::move(*response.mutable_data());
}

void ClientSession::check_ssh(const std::string& id, const CancelSource* cancel) {
  using namespace ::moby::sshforward::v1;
  const SessionChannel& session = impl_->channel;
  const std::string subject = cat("ssh agent '", id, "' of the client");
  session.require(method::kCheckAgent, subject);
  ClientCall call(session, subject, cancel, session.settings.call_timeout);
  CheckAgentRequest request;
  request.set_id(id);
  CheckAgentResponse response;
  call.check(SSH::NewStub(session.channel)->CheckAgent(call.context(), request, &response));
}

std::optional<RegistryAccount> ClientSession::credentials(const std::string& host, const CancelSource* cancel) {
  using namespace ::moby::filesync::v1;
  const SessionChannel& session = impl_->channel;
  if (!session.offers(method::kCredentials)) return std::nullopt;
  ClientCall call(session, cat("the client's account at ", host), cancel, session.settings.call_timeout);
  CredentialsRequest request;
  request.set_host(host);
  CredentialsResponse response;
  const grpc::Status status = Auth::NewStub(session.channel)->Credentials(call.context(), request, &response);
  if (status.error_code() == grpc::UNIMPLEMENTED) return std::nullopt;
  call.check(status);
  if (response.username().empty() && response.secret().empty()) return std::nullopt;
  return RegistryAccount{response.username(), response.secret()};
}

std::optional<Token> ClientSession::fetch_token(const TokenRequest& wanted, const CancelSource* cancel) {
  using namespace ::moby::filesync::v1;
  const SessionChannel& session = impl_->channel;
  if (!session.offers(method::kFetchToken)) return std::nullopt;
  ClientCall call(session, cat("a token of the client for ", wanted.host), cancel, session.settings.call_timeout);
  FetchTokenRequest request;
  request.set_client_id(wanted.client_id);
  request.set_host(wanted.host);
  request.set_realm(wanted.realm);
  request.set_service(wanted.service);
  for (const std::string& scope : wanted.scopes) request.add_scopes(scope);
  FetchTokenResponse response;
  const grpc::Status status = Auth::NewStub(session.channel)->FetchToken(call.context(), request, &response);
  if (is_not_offered(status, session)) return std::nullopt;
  call.check(status);
  return Token{response.token(), response.expires_in(), response.issued_at()};
}

std::optional<std::string> ClientSession::token_authority(const std::string& host, const std::string& salt,
                                                          const CancelSource* cancel) {
  using namespace ::moby::filesync::v1;
  const SessionChannel& session = impl_->channel;
  if (!session.offers(method::kTokenAuthority)) return std::nullopt;
  ClientCall call(session, cat("the client's key for tokens of ", host), cancel, session.settings.call_timeout);
  GetTokenAuthorityRequest request;
  request.set_host(host);
  request.set_salt(salt);
  GetTokenAuthorityResponse response;
  const grpc::Status status = Auth::NewStub(session.channel)->GetTokenAuthority(call.context(), request, &response);
  if (is_not_offered(status, session)) return std::nullopt;
  call.check(status);
  if (response.public_key().size() != kPublicKeySize)
    throw Error(ErrorCode::network, cat(call.subject(), ": ", response.public_key().size(), " bytes instead of 32"));
  return response.public_key();
}

}  // namespace cbuild::api
