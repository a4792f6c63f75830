#include "tools/deploy/container_files.h"

#include <yaml-cpp/yaml.h>

#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::tools {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::vallm::testing::StatusIs;

using Strings = std::vector<std::string>;

class ContainerFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.runtime = "docker";
    options_.image = "registry/vallm:1.0";
    options_.name = "Qwen3";
    options_.serve.engine.model_dir = "/models/Qwen3 $X";
    options_.serve.engine.tensor_parallel_size = 2;
    options_.serve.engine.device = "vacc";
    options_.serve.instances = 2;
    options_.serve.host = "127.0.0.1";
    options_.serve.port = 8080;
    options_.serve.management_port = 9090;
    options_.serve.served_model_names = {"Qwen3"};
    options_.devices = "4-6,9";
  }

  YAML::Node Compose() const {
    const auto files = ComposeFiles(options_, "admin-secret", "1000:1000");
    EXPECT_OK(files);
    EXPECT_THAT(files->secret, ElementsAre("compose.yaml"));
    return YAML::Load(files->files.at("compose.yaml"));
  }
  static Strings List(const YAML::Node& node) { return node.as<Strings>(); }

  DeployOptions options_;
};

TEST_F(ContainerFilesTest, EveryServiceIsAContainerOfTheImage) {
  const YAML::Node services = Compose()["services"];
  std::set<std::string> names;
  for (const auto& entry : services) names.insert(entry.first.as<std::string>());
  EXPECT_EQ(names, (std::set<std::string>{"engine-0", "engine-1", "gateway", "tokenizer"}));
  for (const auto& entry : services) {
    const YAML::Node& service = entry.second;
    EXPECT_EQ(service["image"].as<std::string>(), "registry/vallm:1.0");
    EXPECT_EQ(service["user"].as<std::string>(), "1000:1000");
    EXPECT_EQ(service["read_only"].as<bool>(), true);
    EXPECT_THAT(List(service["cap_drop"]), ElementsAre("ALL"));
    EXPECT_THAT(List(service["volumes"]), ElementsAre("/models/Qwen3 $$X:/models/Qwen3 $$X:ro"));
    EXPECT_EQ(service["logging"]["options"]["max-size"].as<std::string>(), "64m");
    EXPECT_FALSE(service["privileged"]);
  }
}

TEST_F(ContainerFilesTest, ServicesFindEachOtherByName) {
  const YAML::Node services = Compose()["services"];
  const Strings gateway = List(services["gateway"]["command"]);
  EXPECT_THAT(gateway, Contains("--tokenizer=tokenizer:50060"));
  EXPECT_THAT(gateway, Contains("--engine=engine-0:50100"));
  EXPECT_THAT(gateway, Contains("--engine=engine-1:50101"));
  EXPECT_THAT(gateway, Contains("--host=0.0.0.0"));
  EXPECT_THAT(List(services["engine-1"]["command"]), Contains("--listen=0.0.0.0:50101"));
  EXPECT_THAT(List(services["tokenizer"]["command"]), Contains("--listen=0.0.0.0:50060"));
  EXPECT_THAT(List(services["gateway"]["ports"]),
              ElementsAre("127.0.0.1:8080:8000", "127.0.0.1:9090:9000"));
  EXPECT_FALSE(services["engine-0"]["ports"]);
}

TEST_F(ContainerFilesTest, EachEngineHasItsDies) {
  const YAML::Node services = Compose()["services"];
  EXPECT_THAT(List(services["engine-0"]["devices"]),
              ElementsAre("/dev/vacc4:/dev/vacc4", "/dev/vacc5:/dev/vacc5"));
  EXPECT_THAT(List(services["engine-1"]["devices"]),
              ElementsAre("/dev/vacc6:/dev/vacc6", "/dev/vacc9:/dev/vacc9"));
  EXPECT_THAT(List(services["engine-1"]["environment"]), ElementsAre("VACC_VISIBLE_DEVICES=6,9"));
  EXPECT_FALSE(services["tokenizer"]["devices"]);
}

TEST_F(ContainerFilesTest, KeysAreInTheEnvironmentOfTheGatewayAlone) {
  options_.serve.api_keys = {"client$key"};
  const YAML::Node services = Compose()["services"];
  EXPECT_THAT(List(services["gateway"]["environment"]),
              ElementsAre("VALLM_API_KEY=[client$$key]", "VALLM_ADMIN_API_KEY=[admin-secret]"));
  for (const std::string& argument : List(services["gateway"]["command"])) {
    EXPECT_EQ(argument.find("key"), std::string::npos) << argument;
  }
}

TEST_F(ContainerFilesTest, FilesAreMountedWhereTheyAre) {
  options_.serve.chat_template = "/etc/t.jinja";
  options_.serve.gateway_flags["--api-key-file"] = "/etc/keys.yaml";
  const Strings volumes = List(Compose()["services"]["gateway"]["volumes"]);
  EXPECT_THAT(volumes, Contains("/etc/t.jinja:/etc/t.jinja:ro"));
  EXPECT_THAT(volumes, Contains("/etc/keys.yaml:/etc/keys.yaml:ro"));
}

TEST_F(ContainerFilesTest, DiesAreCounted) {
  options_.devices = "0-2";
  EXPECT_THAT(ComposeFiles(options_, "", "1:1"),
              StatusIs(absl::StatusCode::kInvalidArgument, "names 3 dies; 2 instances x 2 need 4"));
  options_.devices = "0-";
  EXPECT_THAT(OverlayFiles(options_), StatusIs(absl::StatusCode::kInvalidArgument, "--devices"));
  options_.devices = "";
  const auto dies = DiesOf(options_);
  ASSERT_OK(dies);
  EXPECT_THAT(*dies, ElementsAre(0, 1, 2, 3));
}

TEST_F(ContainerFilesTest, AnOverlayIsMadeOfTheBase) {
  options_.k8s_model_claim = "models";
  const auto files = OverlayFiles(options_);
  ASSERT_OK(files);
  for (const char* name :
       {"base/kustomization.yaml", "base/engine.yaml", "base/gateway.yaml", "base/tokenizer.yaml",
        "base/gateway.config.yaml", "overlay/kustomization.yaml", "overlay/namespace.yaml"}) {
    EXPECT_EQ(files->files.count(name), 1U) << name;
  }
  const YAML::Node kustomization = YAML::Load(files->files.at("overlay/kustomization.yaml"));
  EXPECT_EQ(kustomization["images"][0]["newName"].as<std::string>(), "registry/vallm");
  EXPECT_EQ(kustomization["images"][0]["newTag"].as<std::string>(), "1.0");
  EXPECT_NE(files->files.at("overlay/namespace.yaml").find("enforce: restricted"),
            std::string::npos);
}

TEST_F(ContainerFilesTest, WhatIsASecretInKubernetesIsRefused) {
  options_.serve.gateway_flags["--tls-cert"] = "/c.pem";
  EXPECT_THAT(OverlayFiles(options_),
              StatusIs(absl::StatusCode::kInvalidArgument, "components/tls"));
  options_.serve.gateway_flags.clear();
  options_.serve.api_keys = {"a", "b"};
  EXPECT_THAT(OverlayFiles(options_),
              StatusIs(absl::StatusCode::kInvalidArgument, "components/api-key-file"));
}

TEST_F(ContainerFilesTest, NamesCannotAddToTheFile) {
  struct Row {
    std::string DeployOptions::*field;
    const char* value;
    const char* flag;
  };
  for (const Row& row :
       std::vector<Row>{{&DeployOptions::image, "${HOME}:1", "--image"},
                        {&DeployOptions::image, "a\nprivileged: true", "--image"},
                        {&DeployOptions::k8s_namespace, "x\n---\nkind: Secret", "--k8s-namespace"},
                        {&DeployOptions::k8s_namespace, "", "--k8s-namespace"},
                        {&DeployOptions::k8s_namespace, "-x", "--k8s-namespace"},
                        {&DeployOptions::k8s_model_claim, "m, readOnly: false}, hostPath: {path: /",
                         "--k8s-model-claim"},
                        {&DeployOptions::k8s_resource, "x/y, value: 9} #", "--k8s-resource"},
                        {&DeployOptions::k8s_resource, "../x", "--k8s-resource"},
                        {&DeployOptions::k8s_resource, "cpu", "--k8s-resource"}}) {
    DeployOptions options = options_;
    options.runtime = "k8s";
    options.*row.field = row.value;
    EXPECT_THAT(OverlayFiles(options), StatusIs(absl::StatusCode::kInvalidArgument, row.flag));
  }
  options_.serve.api_keys = {"a\nother=b"};
  EXPECT_THAT(ComposeFiles(options_, "", ""),
              StatusIs(absl::StatusCode::kInvalidArgument, "--api-key"));
  options_.serve.api_keys.clear();
  options_.serve.engine.model_dir = "/models/a:/etc";
  EXPECT_THAT(ComposeFiles(options_, "", ""),
              StatusIs(absl::StatusCode::kInvalidArgument, "colon"));
}

TEST_F(ContainerFilesTest, WhatLooksLikeANumberStaysAName) {
  options_.image = "123";
  options_.name = "Qwen3.5";
  options_.serve.host = "::1";
  const YAML::Node compose = Compose();
  EXPECT_EQ(compose["services"]["gateway"]["image"].Tag(), "!");  // quoted
  EXPECT_EQ(compose["name"].as<std::string>(), "vallm-qwen3_5");
  EXPECT_THAT(List(compose["services"]["gateway"]["ports"]),
              ElementsAre("[::1]:8080:8000", "[::1]:9090:9000"));
  options_.runtime = "k8s";
  options_.k8s_namespace = "456";
  options_.k8s_model_claim = "789";
  const auto files = OverlayFiles(options_);
  ASSERT_OK(files);
  const YAML::Node kustomization = YAML::Load(files->files.at("overlay/kustomization.yaml"));
  EXPECT_EQ(kustomization["namespace"].Tag(), "!");
  EXPECT_EQ(kustomization["images"][0]["newName"].Tag(), "!");
  EXPECT_EQ(YAML::Load(files->files.at("overlay/namespace.yaml"))["metadata"]["name"].Tag(), "!");
  EXPECT_THAT(kustomization["patches"][0]["patch"].as<std::string>(),
              HasSubstr("claimName: \"789\""));
}

TEST_F(ContainerFilesTest, PathsAndArgumentsAreTakenToTheLetter) {
  options_.runtime = "k8s";
  options_.k8s_model_claim.clear();
  options_.serve.engine.model_dir = R"(/models/a"b\c)";
  options_.serve.default_chat_template_kwargs = R"({"a": "$(PATH) $$"})";
  const auto files = OverlayFiles(options_);
  ASSERT_OK(files);
  const YAML::Node kustomization = YAML::Load(files->files.at("overlay/kustomization.yaml"));
  const YAML::Node engine = YAML::Load(kustomization["patches"][0]["patch"].as<std::string>());
  std::string path;
  for (const auto& operation : engine) {
    if (operation["path"].as<std::string>() == "/spec/template/spec/volumes/0") {
      path = operation["value"]["hostPath"]["path"].as<std::string>();
    }
  }
  EXPECT_EQ(path, options_.serve.engine.model_dir);
  // Kubernetes makes one dollar of two, and leaves what follows alone.
  const YAML::Node tokenizer = YAML::Load(kustomization["patches"][1]["patch"].as<std::string>());
  std::string arguments;
  for (const auto& operation : tokenizer) {
    if (operation["path"].as<std::string>() == "/spec/template/spec/containers/0/args") {
      for (const auto& argument : operation["value"])
        arguments += argument.as<std::string>() + "\n";
    }
  }
  EXPECT_THAT(arguments, HasSubstr(R"({"a": "$$(PATH) $$$$"})"));
}

}  // namespace
}  // namespace vallm::tools
