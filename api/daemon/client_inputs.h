// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/daemon/client_contexts.h"
#include "api/daemon/frontend_options.h"
#include "api/daemon/state.h"
#include "api/proto/gateway.pb.h"
#include "base/fd.h"
#include "base/files.h"
#include "engine/request/request.h"

namespace cbuild::api {

/// What a client asks to have built, and for whom.
struct ClientQuestion {
  Build& build;
  const moby::buildkit::v1::frontend::SolveRequest& asked;
  std::shared_ptr<ClientSession> session;  ///< null for a client without one
};

/// The result of an earlier solve, called by its id, as an image layout: the directory "image". Throws Error.
using LinkedLayout = std::function<ResultTree(const std::string& id)>;

/// The inputs of one build of a client: the Dockerfile or the definition, and the contexts, which are copies of the
/// client's directories, uploads, or sources that the engine fetches itself.
class ClientInputs {
 public:
  /// `state` and `question` must outlive it. `linked` is called for inputs that are results of other solves.
  ClientInputs(DaemonState& state, const ClientQuestion& question, LinkedLayout linked);

  /// Fills in the inputs of `request`, which this must outlive; its entitlements are known. Throws Error.
  void describe(engine::BuildRequest& request);

 private:
  std::shared_ptr<ClientSession> session_of(const std::string& directory, const std::string& named);
  void describe_definition(engine::BuildRequest& request);
  void describe_dockerfile(engine::BuildRequest& request);
  void describe_remote_context(const std::string& context, engine::BuildRequest& request);
  engine::GivenDockerfile read_dockerfile(const std::string& context_name);
  std::string named_context(const std::string& value);
  std::string layout_of(const std::string& input);
  std::string client_layout(const std::string& text);

  DaemonState& state_;
  const ClientQuestion& question_;
  const LinkedLayout linked_;
  const Attributes attributes_;
  ClientContexts contexts_;
  UniqueFd upload_;
  std::vector<std::string> granted_;  ///< entitlements
  std::vector<TempDir> layouts_;
  std::vector<ResultTree> linked_layouts_;
};

}  // namespace cbuild::api
