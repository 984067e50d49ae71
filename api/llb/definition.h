// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/proto/llb.pb.h"
#include "base/diagnostic.h"
#include "base/digest.h"

namespace cbuild::api {

/// One operation of a definition, with everything that the definition says about it.
struct DecodedOp {
  Digest digest;
  pb::Op op;
  const pb::OpMetadata* metadata = nullptr;  ///< of the definition; null: there is none
  std::string name;                          ///< the client's own, else one by what it does
  std::vector<Span> spans;                   ///< in the client's source
  std::vector<std::size_t> inputs;           ///< in Decoded::ops, one for each of op.inputs()
};

/// A definition that is well-formed as a graph. What its operations mean was not looked at.
struct Decoded {
  std::vector<DecodedOp> ops;  ///< that the result needs, each after its inputs; empty: the result is scratch
  std::int64_t output = 0;     ///< which output of the last one is the result
};

/// Throws Error{input} for bytes that are not an operation, digests that name none, more than one result, enumeration
/// values, fields and capabilities that are not known, and sizes beyond all reason. The definition is borrowed.
Decoded decode(const pb::Definition& definition);

/// "RUN make (build.hcl:12)": for messages.
std::string place_of(const DecodedOp& op);

/// Throws Error{input} about a field of an operation.
[[noreturn]] void reject(const DecodedOp& op, std::string_view field, std::string_view problem,
                         std::string_view hint = {});

}  // namespace cbuild::api
