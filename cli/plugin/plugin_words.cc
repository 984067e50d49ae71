// SPDX-License-Identifier: Apache-2.0
// `docker -H tcp://h buildx build .` starts the plugin as "docker-buildx -H tcp://h buildx build ."; compose and
// scripts start it as "docker-buildx bake ...". Docker's flags choose the engine, which here is done by its variables,
// so they become those: the code that looks for the engine has one source.
#include "cli/plugin/plugin_words.h"

#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "base/text.h"
#include "base/words.h"

namespace cbuild::cli {
namespace {

/// A flag of the docker program, which stands before the plugin's name.
struct DockerFlag {
  std::string_view name, letter;
  bool has_value;
};

constexpr DockerFlag kDockerFlags[] = {
    {"--config", "", true},      {"--context", "-c", true},  {"--debug", "-D", false},  {"--host", "-H", true},
    {"--log-level", "-l", true}, {"--tls", "", false},       {"--tlscacert", "", true}, {"--tlscert", "", true},
    {"--tlskey", "", true},      {"--tlsverify", "", false}, {"--builder", "", true},
};

/// Commands that have a -D of their own.
constexpr std::string_view kKnowDebug[] = {"build", "dap"};

class CallReader {
 public:
  explicit CallReader(const Arguments& words) : words_(words) {}

  PluginCall read() {
    read_flags();
    if (at_ < words_.size() && words_[at_] == "buildx") {
      ++at_;
      read_flags();
    }
    read_command();
    add_certificates();
    return std::move(call_);
  }

 private:
  const DockerFlag* find(const std::string& word) const {
    const std::string name = word.substr(0, word.find('='));
    const auto found = std::find_if(std::begin(kDockerFlags), std::end(kDockerFlags), [&](const DockerFlag& flag) {
      return name == flag.name || (!flag.letter.empty() && word.starts_with(flag.letter) && !word.starts_with("--"));
    });
    return found == std::end(kDockerFlags) ? nullptr : found;
  }

  void read_flags() {
    for (; at_ < words_.size(); ++at_) {
      const DockerFlag* flag = find(words_[at_]);
      if (flag == nullptr) return;
      set(*flag, value_of(*flag));
    }
  }

  /// "--host V", "--host=V", "-H V", "-HV", "-H=V"; a switch alone is "true".
  std::string value_of(const DockerFlag& flag) {
    const std::string& word = words_[at_];
    const bool is_long = word.starts_with("--");
    const std::size_t equals = is_long ? word.find('=') : std::string::npos;
    if (equals != std::string::npos) return word.substr(equals + 1);
    if (!is_long && word.size() > 2) return word.substr(word[2] == '=' ? 3 : 2);
    if (!flag.has_value) return "true";
    if (at_ + 1 >= words_.size()) throw Error(ErrorCode::usage, cat(word, " needs a value"));
    return words_[++at_];
  }

  void set(const DockerFlag& flag, const std::string& value) {
    const auto variable = [&](const char* name, std::optional<std::string> text) {
      call_.environment.emplace_back(name, std::move(text));
    };
    if (flag.name == "--builder") call_.builder = value;
    if (flag.name == "--config") variable("DOCKER_CONFIG", value);
    if (flag.name == "--host") variable("DOCKER_HOST", value);
    if (flag.name == "--context") {
      if (value != "default") variable("DOCKER_HOST", std::nullopt);
      variable("DOCKER_CONTEXT", value);
    }
    if (flag.name == "--tlscacert") certificates_.emplace_back("ca.pem", value);
    if (flag.name == "--tlscert") certificates_.emplace_back("cert.pem", value);
    if (flag.name == "--tlskey") certificates_.emplace_back("key.pem", value);
    if (flag.name != "--tls" && flag.name != "--tlsverify") return;
    const auto truth = parse_bool(value);
    if (!truth) throw Error(ErrorCode::usage, cat(flag.name, ": '", value, "' is neither true nor false"));
    variable(flag.name == "--tls" ? "DOCKER_TLS" : "DOCKER_TLS_VERIFY", *truth ? std::optional("1") : std::nullopt);
  }

  void read_command() {
    if (at_ >= words_.size()) return;
    const std::string& command = words_[at_];
    const bool knows_debug = std::find(std::begin(kKnowDebug), std::end(kKnowDebug), command) != std::end(kKnowDebug);
    for (; at_ < words_.size() && words_[at_] != "--"; ++at_) {
      const std::string& word = words_[at_];
      if (word == "--builder" || word.starts_with("--builder="))
        call_.builder = value_of(*find("--builder"));
      else if (knows_debug || (word != "-D" && word != "--debug"))
        call_.words.push_back(word);
    }
    call_.words.insert(call_.words.end(), words_.begin() + static_cast<std::ptrdiff_t>(at_), words_.end());
  }

  /// The variable names a directory, and the files in it have fixed names.
  void add_certificates() {
    if (certificates_.empty()) return;
    const std::string directory = dir_name(certificates_.front().second);
    for (const auto& [name, path] : certificates_)
      if (base_name(path) != name || dir_name(path) != directory)
        throw Error(ErrorCode::usage, cat("certificate ", path, " has to be ", name, " next to the others"))
            .with_hint("put ca.pem, cert.pem and key.pem into one directory, or use a docker context");
    call_.environment.emplace_back("DOCKER_CERT_PATH", directory.empty() ? "." : directory);
  }

  const Arguments& words_;
  std::size_t at_ = 0;
  PluginCall call_;
  std::vector<std::pair<std::string, std::string>> certificates_;  ///< by the name that a directory has for it
};

}  // namespace

PluginCall read_plugin_call(const Arguments& words) { return CallReader(words).read(); }

}  // namespace cbuild::cli
