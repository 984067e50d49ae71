// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace moby::buildkit::v1::frontend {
class PongResponse;
}
namespace moby::buildkit::v1::types {
class WorkerRecord;
class BuildkitVersion;
}  // namespace moby::buildkit::v1::types

namespace cbuild::api {

/// What clients may count on: BuildKit's names of abilities that this builder has.
void fill_pong(moby::buildkit::v1::frontend::PongResponse& out);
/// This machine: its platform first, then those that it emulates.
void fill_worker(moby::buildkit::v1::types::WorkerRecord& out);
void fill_version(moby::buildkit::v1::types::BuildkitVersion& out);

}  // namespace cbuild::api
