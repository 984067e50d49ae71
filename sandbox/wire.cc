// SPDX-License-Identifier: Apache-2.0
// One list of fields per struct, walked by a writer and by a reader, so that the two cannot disagree.
#include "sandbox/wire.h"

#include <cstring>
#include <type_traits>

#include "base/error.h"

namespace cbuild::sandbox::wire {
namespace {

/// Marks a field that is a descriptor.
struct Descriptor {
  int& fd;
};
struct DescriptorList {
  std::vector<int>& fds;
};

class Writer {
 public:
  explicit Writer(std::vector<int>* descriptors) : descriptors_(descriptors) {}

  template <typename... Fields>
  void operator()(Fields&&... fields) {
    (field(fields), ...);
  }
  std::string take() { return std::move(out_); }

 private:
  template <typename T>
    requires(std::is_arithmetic_v<T> || std::is_enum_v<T>)
  void field(T& value) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    out_.append(bytes, sizeof bytes);
  }
  void size(std::size_t value) { field(value); }
  void field(std::string& value) {
    size(value.size());
    out_ += value;
  }
  void field(Descriptor value) {
    std::int32_t index = -1;
    if (value.fd >= 0) {
      index = static_cast<std::int32_t>(descriptors_->size());
      descriptors_->push_back(value.fd);
    }
    field(index);
  }
  void field(DescriptorList value) {
    size(value.fds.size());
    for (int& fd : value.fds) field(Descriptor{fd});
  }
  template <typename T>
  void field(std::vector<T>& values) {
    size(values.size());
    for (T& value : values) field(value);
  }
  template <typename... T>
  void field(std::variant<T...>& value) {
    size(value.index());
    std::visit([&](auto& alternative) { field(alternative); }, value);
  }
  template <typename T>
    requires std::is_aggregate_v<T>
  void field(T& value) {
    fields_of(*this, value);
  }

  std::string out_;
  std::vector<int>* descriptors_;
};

void require(bool condition) {
  if (!condition) throw Error(ErrorCode::internal, "malformed message between builder and sandbox process");
}

/// The rest of a message, taken from its front.
class Bytes {
 public:
  explicit Bytes(std::string_view data) : rest_(data) {}

  std::size_t left() const { return rest_.size(); }
  std::string_view take(std::size_t count) {
    require(count <= rest_.size());
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  std::size_t take_size() {
    std::size_t value = 0;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  /// A count of items of at least a byte each.
  std::size_t take_count() {
    const std::size_t value = take_size();
    require(value <= rest_.size());
    return value;
  }

 private:
  std::string_view rest_;
};

class Reader {
 public:
  Reader(std::string_view data, const std::vector<UniqueFd>* descriptors) : rest_(data), descriptors_(descriptors) {}

  template <typename... Fields>
  void operator()(Fields&&... fields) {
    (field(fields), ...);
  }
  void finish() const { require(rest_.left() == 0); }

 private:
  template <typename T>
    requires(std::is_arithmetic_v<T> || std::is_enum_v<T>)
  void field(T& value) {
    std::memcpy(&value, rest_.take(sizeof value).data(), sizeof value);
  }
  void field(std::string& value) { value = std::string(rest_.take(rest_.take_size())); }
  void field(Descriptor value) {
    std::int32_t index = -1;
    field(index);
    require(index < 0 || (descriptors_ != nullptr && static_cast<std::size_t>(index) < descriptors_->size()));
    value.fd = index < 0 ? -1 : (*descriptors_)[static_cast<std::size_t>(index)].get();
  }
  void field(DescriptorList value) {
    value.fds.resize(rest_.take_count());
    for (int& fd : value.fds) field(Descriptor{fd});
  }
  template <typename T>
  void field(std::vector<T>& values) {
    values.resize(rest_.take_count());
    for (T& value : values) field(value);
  }
  template <std::size_t Index = 0, typename... T>
  void alternative(std::variant<T...>& value, std::size_t index) {
    if constexpr (Index < sizeof...(T)) {
      if (index == Index)
        field(value.template emplace<Index>());
      else
        alternative<Index + 1>(value, index);
    } else {
      require(false);
    }
  }
  template <typename... T>
  void field(std::variant<T...>& value) {
    alternative(value, rest_.take_size());
  }
  template <typename T>
    requires std::is_aggregate_v<T>
  void field(T& value) {
    fields_of(*this, value);
  }

  Bytes rest_;
  const std::vector<UniqueFd>* descriptors_;
};

void fields_of(auto& f, BindSource& v) { f(Descriptor{v.fd}); }
void fields_of(auto& f, OverlaySource& v) { f(DescriptorList{v.lower_fds}, v.path, v.writable); }
void fields_of(auto& f, TmpfsSource& v) { f(v.size_bytes, v.mode); }
void fields_of(auto& f, ContentSource& v) { f(v.content, v.uid, v.gid, v.mode); }
void fields_of(auto& f, Mount& v) { f(v.target, v.source, v.read_only, v.no_suid, v.no_dev, v.no_exec); }
void fields_of(auto& f, Ulimit& v) { f(v.name, v.soft, v.hard); }
void fields_of(auto& f, DeviceNode& v) {
  f(v.path, v.type, v.major, v.minor, v.mode, v.uid, v.gid, v.host_path, v.may_read, v.may_write);
}
void fields_of(auto& f, Resources& v) {
  f(v.memory_bytes, v.memory_swap_bytes, v.cpu_shares, v.cpu_period_us, v.cpu_quota_us, v.cpuset_cpus, v.cpuset_mems);
}
void fields_of(auto& f, confine::SeccompArgument& v) { f(v.index, v.value, v.value_two, v.comparison); }
void fields_of(auto& f, confine::SeccompRule& v) { f(v.names, v.action, v.error, v.arguments); }
void fields_of(auto& f, confine::SeccompProfile& v) {
  f(v.default_action, v.default_error, v.architectures, v.rules, v.digest);
}
void fields_of(auto& f, confine::Security& v) {
  f(v.capabilities, v.no_new_privileges, v.filters_calls, v.seccomp, v.apparmor, v.label_options);
}
void fields_of(auto& f, Spec& v) {
  f(v.argv, v.environment, v.working_dir, v.uid, v.gid, v.additional_gids, v.hostname, DescriptorList{v.lower_fds},
    Descriptor{v.upper_fd}, Descriptor{v.work_fd}, Descriptor{v.skeleton_fd}, v.mounts, v.hosts_file, v.resolv_conf,
    v.network, Descriptor{v.network_fd}, v.insecure, v.security, v.shm_size, v.ulimits, v.devices, v.cgroup_parent,
    Descriptor{v.stdin_fd}, Descriptor{v.terminal_fd}, v.resources, v.bundle);
}
void fields_of(auto& f, Configure& v) { f(v.mode, v.device_control, v.layers_in_place); }
void fields_of(auto& f, Run& v) { f(v.id, v.spec); }
void fields_of(auto& f, Signal& v) { f(v.id, v.number); }
void fields_of(auto& f, ResourceUse& v) {
  f(v.user_ns, v.system_ns, v.peak_memory_bytes, v.read_bytes, v.written_bytes, v.oom_killed);
}
void fields_of(auto& f, Ended& v) { f(v.id, v.wait_status, v.use, v.exec_failure, v.failure, v.fault); }

}  // namespace

std::string encode(const Request& request, std::vector<int>& descriptors) {
  Writer writer(&descriptors);
  Request copy = request;
  writer(copy);
  return writer.take();
}

Request decode_request(std::string_view data, const std::vector<UniqueFd>& descriptors) {
  Reader reader(data, &descriptors);
  Request request;
  reader(request);
  reader.finish();
  return request;
}

std::string encode(const Ended& ended) {
  Writer writer(nullptr);
  Ended copy = ended;
  writer(copy);
  return writer.take();
}

Ended decode_ended(std::string_view data) {
  Reader reader(data, nullptr);
  Ended ended;
  reader(ended);
  reader.finish();
  return ended;
}

}  // namespace cbuild::sandbox::wire
