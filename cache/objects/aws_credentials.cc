// SPDX-License-Identifier: Apache-2.0
// The places where Amazon's programs look for an account, in their order; the first that has one is taken, and a
// service is only asked when its turn comes. Answers are small, or they are none.
#include "cache/objects/aws_credentials.h"

#include <fcntl.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/plain_file.h"
#include "base/process/environment.h"
#include "base/text.h"
#include "cache/objects/xml_text.h"
#include "oci/json.h"

namespace cbuild::cache {
namespace {

constexpr std::size_t kMostFile = 1u << 20, kMostAnswer = 1u << 16;
constexpr std::int64_t kRenewBefore_s = 300, kInstanceToken_s = 21600;
constexpr char kContainerHost[] = "http://169.254.170.2", kInstanceHost[] = "http://169.254.169.254";
constexpr std::chrono::milliseconds kServicePatience{2000};  // where no such service is, nobody answers

http::Url url_of(const std::string& text, const char* from) {
  if (const auto url = http::parse_url(text)) return *url;
  throw Error(ErrorCode::input, cat(from, ": invalid URL ", go_quote(text)));
}

std::string read_small(const std::string& path, const char* from) {
  if (auto text = sys::try_read_plain(AT_FDCWD, path, kMostFile)) return std::string(trim(*text));
  throw Error(ErrorCode::input, cat(from, ": ", path, " does not exist"));
}

std::optional<AwsKeys> from_environment() {
  AwsKeys keys{environment_value("AWS_ACCESS_KEY_ID"), environment_value("AWS_SECRET_ACCESS_KEY"),
               environment_value("AWS_SESSION_TOKEN"), 0};
  return keys.id.empty() || keys.secret.empty() ? std::nullopt : std::optional(keys);
}

std::optional<AwsKeys> from_profile() {
  std::string path = environment_value("AWS_SHARED_CREDENTIALS_FILE");
  const std::string home = environment_value("HOME"), profile = environment_value("AWS_PROFILE");
  if (path.empty() && home.empty()) return std::nullopt;
  if (path.empty()) path = join_path(home, ".aws/credentials");
  const auto text = sys::try_read_plain(AT_FDCWD, path, kMostFile);
  return text ? parse_aws_profile(*text, profile.empty() ? "default" : profile) : std::nullopt;
}

/// Such a service is near and answers at once, or is not there.
ObjectOptions service_options(const ObjectOptions& options) {
  ObjectOptions out = options;
  out.limits.connect = std::min(out.limits.connect, kServicePatience);
  out.max_attempts = 2;
  out.warn = nullptr;
  return out;
}

}  // namespace

std::optional<AwsKeys> parse_aws_profile(std::string_view text, std::string_view profile) {
  AwsKeys keys;
  bool inside = false;
  for (const std::string& line : split(text, '\n')) {
    const std::string_view words = trim(line);
    if (words.empty() || words.starts_with('#') || words.starts_with(';')) continue;
    if (words.starts_with('[')) {
      inside = words.ends_with(']') && trim(words.substr(1, words.size() - 2)) == profile;
      continue;
    }
    const std::size_t equals = words.find('=');
    if (!inside || equals == std::string_view::npos) continue;
    const std::string name = to_lower(trim(words.substr(0, equals)));
    const std::string value(trim(words.substr(equals + 1)));
    if (name == "aws_access_key_id") keys.id = value;
    if (name == "aws_secret_access_key") keys.secret = value;
    if (name == "aws_session_token") keys.session_token = value;
  }
  return keys.id.empty() || keys.secret.empty() ? std::nullopt : std::optional(keys);
}

AwsCredentials::AwsCredentials(std::optional<AwsKeys> given, std::string region, const ObjectOptions& options)
    : given_(std::move(given)),
      region_(std::move(region)),
      options_(service_options(options)),
      http_("account for AWS", options_) {}

AwsKeys AwsCredentials::keys() {
  if (given_) return *given_;
  const std::lock_guard lock(mutex_);
  const bool over = known_ && known_->expires_s != 0 && known_->expires_s - kRenewBefore_s < http_.now_s();
  if (!known_ || over) known_ = find();
  return *known_;
}

AwsKeys AwsCredentials::find() {
  if (const auto keys = from_environment()) return *keys;
  if (const auto keys = from_web_identity()) return *keys;
  if (const auto keys = from_profile()) return *keys;
  if (const auto keys = from_container()) return *keys;
  if (const auto keys = from_instance()) return *keys;
  throw Error(ErrorCode::denied, "no account for S3 found")
      .with_hint(
          "access_key_id= and secret_access_key=, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
          "AWS_WEB_IDENTITY_TOKEN_FILE, ~/.aws/credentials, or a role of the machine");
}

/// STS, AssumeRoleWithWebIdentity: the token of a CI service or of Kubernetes for an account of a role.
std::optional<AwsKeys> AwsCredentials::from_web_identity() {
  const std::string file = environment_value("AWS_WEB_IDENTITY_TOKEN_FILE"), role = environment_value("AWS_ROLE_ARN");
  if (file.empty() || role.empty()) return std::nullopt;
  const std::string token = read_small(file, "AWS_WEB_IDENTITY_TOKEN_FILE");
  http_.secrets().add(token);
  const std::string session = environment_value("AWS_ROLE_SESSION_NAME"),
                    endpoint = environment_value("AWS_ENDPOINT_URL_STS");
  const std::string host = endpoint.empty() ? cat("https://sts.", region_, ".amazonaws.com/") : endpoint;
  const http::Response response = http_.exchange("web identity", [&] {
    http::Request request;
    request.method = "POST";
    request.url = url_of(host, "AWS_ENDPOINT_URL_STS");
    request.headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
    request.body = cat("Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=", aws_query_value(role),
                       "&RoleSessionName=", aws_query_value(session.empty() ? "cbuild" : session),
                       "&WebIdentityToken=", aws_query_value(token));
    request.limit = kMostAnswer;
    return request;
  });
  AwsKeys keys;
  keys.id = xml_text(response.body, "Credentials/AccessKeyId").value_or("");
  keys.secret = xml_text(response.body, "Credentials/SecretAccessKey").value_or("");
  keys.session_token = xml_text(response.body, "Credentials/SessionToken").value_or("");
  const auto end = parse_rfc3339_ns(xml_text(response.body, "Credentials/Expiration").value_or(""));
  keys.expires_s = end ? *end / 1'000'000'000 : 0;
  if (keys.id.empty() || keys.secret.empty()) throw Error(ErrorCode::denied, "web identity: the answer has no account");
  return keys;
}

AwsKeys AwsCredentials::read_answer(const http::Response& response, const std::string& from) const {
  const nlohmann::json answer = oci::json::parse_object(response.body, kMostAnswer, from);
  AwsKeys keys;
  keys.id = oci::json::text(answer, "AccessKeyId");
  keys.secret = oci::json::text(answer, "SecretAccessKey");
  keys.session_token = oci::json::text(answer, "Token");
  const auto end = parse_rfc3339_ns(oci::json::text(answer, "Expiration"));
  keys.expires_s = end ? *end / 1'000'000'000 : 0;
  if (keys.id.empty() || keys.secret.empty()) throw Error(ErrorCode::denied, from + ": the answer has no account");
  return keys;
}

std::optional<AwsKeys> AwsCredentials::from_container() {
  const std::string relative = environment_value("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  const std::string full = environment_value("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  if (relative.empty() && full.empty()) return std::nullopt;
  std::string token = environment_value("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  if (const std::string file = environment_value("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); !file.empty())
    token = read_small(file, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
  http_.secrets().add(token);
  const http::Url url = relative.empty() ? url_of(full, "AWS_CONTAINER_CREDENTIALS_FULL_URI")
                                         : url_of(kContainerHost + relative, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  if (url.scheme != "https" && http::locality(url.host) == http::Locality::open)
    throw Error(ErrorCode::denied, cat("AWS_CONTAINER_CREDENTIALS_FULL_URI: ", url.host, " is reached by plain http"));
  const http::Response response = http_.exchange("the container's service", [&] {
    http::Request request;
    request.url = url;
    if (!token.empty()) request.headers.emplace_back("Authorization", token);
    request.limit = kMostAnswer;
    return request;
  });
  return read_answer(response, "the container's service");
}

/// The instance's metadata service, version 2: a token first, then the name of the role, then its account.
std::optional<AwsKeys> AwsCredentials::from_instance() {
  if (to_lower(environment_value("AWS_EC2_METADATA_DISABLED")) == "true") return std::nullopt;
  const std::string given = environment_value("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  http::Url base = url_of(given.empty() ? kInstanceHost : given, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
  base.query.clear();
  std::string token;
  const auto ask = [&](const char* method, const std::string& path) {
    return http_.exchange("the instance's service", [&] {
      http::Request request;
      request.method = method;
      request.url = base;
      request.url.path = path;
      if (token.empty())
        request.headers.emplace_back("X-aws-ec2-metadata-token-ttl-seconds", std::to_string(kInstanceToken_s));
      else
        request.headers.emplace_back("X-aws-ec2-metadata-token", token);
      request.limit = kMostAnswer;
      return request;
    });
  };
  try {
    token = trim(ask("PUT", "/latest/api/token").body);
    const std::string roles = "/latest/meta-data/iam/security-credentials/";
    const std::string names = ask("GET", roles).body;
    const std::string role(trim(std::string_view(names).substr(0, names.find('\n'))));
    return read_answer(ask("GET", roles + aws_path(role)), "the instance's service");
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw;
    return std::nullopt;  // this machine is not such an instance, or has no role
  }
}

}  // namespace cbuild::cache
