// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>

#include "base/error.h"
#include "engine/result.h"

namespace google::rpc {
class Status;
}
namespace grpc {
class Status;
}

namespace cbuild::api {

/// Why a build ended, as clients are told: a gRPC code, one line, and details from which they show the place in the
/// Dockerfile (errdefs.Source) and the step (errdefs.Vertex).
google::rpc::Status to_rpc(const engine::Failure& failure);
google::rpc::Status to_rpc(const Error& error);

/// The same for the end of a call. Codes that gRPC does not have become UNKNOWN.
grpc::Status to_grpc(const google::rpc::Status& status);
/// Of an exception that left a call. Not cbuild's own ones are INTERNAL.
grpc::Status to_grpc(const std::exception& error);

}  // namespace cbuild::api
