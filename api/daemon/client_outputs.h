// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/session/client_session.h"
#include "base/cancel.h"
#include "base/files.h"
#include "exporter/outputs.h"

namespace cbuild::api {

/// The outputs of one build that go to its client: archives through a pipe while they are made, directories when the
/// build has made them in the store.
class ClientOutputs {
 public:
  ClientOutputs(std::shared_ptr<ClientSession> session, std::string store, const CancelSource& cancel);
  ~ClientOutputs();
  ClientOutputs(const ClientOutputs&) = delete;
  ClientOutputs& operator=(const ClientOutputs&) = delete;

  /// An output of the engine for the client's output `index` of `type` with BuildKit's attributes. Throws Error{usage}.
  exporter::Output add(int index, const std::string& type, const std::map<std::string, std::string>& attributes);
  /// Ends the archives and sends the directories, after the build. `metadata`: of the result. Throws Error.
  void finish(const std::map<std::string, std::string>& metadata, bool multi_platform);

 private:
  struct Archive;
  struct Directory;
  const std::shared_ptr<ClientSession> session_;
  const std::string store_;
  const CancelSource& cancel_;
  std::vector<std::unique_ptr<Archive>> archives_;
  std::vector<std::unique_ptr<Directory>> directories_;
};

/// The value of --output for an output of a client.
std::string output_text(const std::string& type, const std::map<std::string, std::string>& attributes);

}  // namespace cbuild::api
