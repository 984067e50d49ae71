// SPDX-License-Identifier: Apache-2.0
// Details are Any messages whose values are JSON, named by the Go types that clients decode them into.
#include "api/daemon/errors.h"

#include <grpcpp/support/status.h>

#include <nlohmann/json.hpp>
#include <string>

#include "api/proto/status.pb.h"
#include "base/diagnostic.h"
#include "base/text.h"

namespace cbuild::api {
namespace {

using DetailJson = nlohmann::ordered_json;

constexpr std::size_t kMostDetails = 16;

void add_detail(google::rpc::Status& status, const char* type, const DetailJson& value) {
  google::protobuf::Any& any = *status.add_details();
  any.set_type_url(cat("github.com/moby/buildkit/", type, "+json"));
  any.set_value(value.dump(-1, ' ', false, DetailJson::error_handler_t::replace));
}

void add_source(google::rpc::Status& status, const Span& span) {
  if (!span) return;
  const SourceText& source = *span.source;
  const auto line = [&](std::size_t offset) { return DetailJson{{"line", source.position(offset).line}}; };
  const std::size_t last = span.end > span.begin ? span.end - 1 : span.begin;
  DetailJson ranges = DetailJson::array();
  ranges.push_back({{"start", line(span.begin)}, {"end", line(last)}});
  DetailJson info = {{"filename", source.name()}, {"data", base64_encode(source.text())}, {"language", "Dockerfile"}};
  add_detail(status, "errdefs.Source", {{"info", std::move(info)}, {"ranges", std::move(ranges)}});
}

grpc::StatusCode code_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::usage:
    case ErrorCode::input:
      return grpc::StatusCode::INVALID_ARGUMENT;
    case ErrorCode::not_found:
      return grpc::StatusCode::NOT_FOUND;
    case ErrorCode::denied:
      return grpc::StatusCode::PERMISSION_DENIED;
    case ErrorCode::cancelled:
      return grpc::StatusCode::CANCELLED;
    default:
      return grpc::StatusCode::UNKNOWN;
  }
}

std::string text_of(const Error& error) {
  return error.hint().empty() ? std::string(error.what()) : cat(error.what(), " (", error.hint(), ")");
}

struct ToRpc {
  google::rpc::Status operator()(const engine::Diagnosed& wrong) const {
    google::rpc::Status status;
    status.set_code(grpc::StatusCode::INVALID_ARGUMENT);
    std::vector<std::string> lines;
    for (const Diagnostic& diagnostic : wrong.diagnostics) {
      if (diagnostic.severity != Severity::error) continue;
      lines.push_back(diagnostic.message);
      if (!diagnostic.hint.empty()) lines.back() += cat(" (", diagnostic.hint, ")");
      if (lines.size() <= kMostDetails) add_source(status, diagnostic.span);
    }
    status.set_message(cat("dockerfile parse error: ", join(lines, "\n")));
    return status;
  }
  google::rpc::Status operator()(const engine::StepFailed& failed) const {
    google::rpc::Status status = to_rpc(failed.failure.error);
    if (status.code() != grpc::StatusCode::CANCELLED) status.set_code(grpc::StatusCode::UNKNOWN);
    std::size_t details = 0;
    for (const Span& span : failed.spans)
      if (++details <= kMostDetails) add_source(status, span);
    return status;
  }
  google::rpc::Status operator()(const engine::Failed& failed) const { return to_rpc(failed.error); }
  google::rpc::Status operator()(const engine::Cancelled& cancelled) const {
    google::rpc::Status status;
    status.set_code(grpc::StatusCode::CANCELLED);
    status.set_message(cancelled.error ? text_of(*cancelled.error) : "context canceled");
    return status;
  }
};

}  // namespace

google::rpc::Status to_rpc(const engine::Failure& failure) { return std::visit(ToRpc{}, failure); }

google::rpc::Status to_rpc(const Error& error) {
  google::rpc::Status status;
  status.set_code(code_of(error.code()));
  status.set_message(text_of(error));
  return status;
}

grpc::Status to_grpc(const google::rpc::Status& status) {
  const bool known = status.code() > 0 && status.code() <= grpc::StatusCode::UNAUTHENTICATED;
  return {known ? static_cast<grpc::StatusCode>(status.code()) : grpc::StatusCode::UNKNOWN, status.message(),
          status.SerializeAsString()};
}

grpc::Status to_grpc(const std::exception& error) {
  if (const auto* own = dynamic_cast<const Error*>(&error)) return to_grpc(to_rpc(*own));
  if (const auto* wrong = dynamic_cast<const DiagnosticError*>(&error))
    return to_grpc(to_rpc(engine::Diagnosed{wrong->diagnostics()}));
  return {grpc::StatusCode::INTERNAL, error.what()};
}

}  // namespace cbuild::api
