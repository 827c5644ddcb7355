//! A program that knows nothing of awsdir: the AWS SDK, as it finds its role credentials by itself, asks STS whose they are.

use crate::Result;
use aws_config::BehaviorVersion;
use aws_sdk_sts::config::ProvideCredentials as _;
use aws_sdk_sts::error::DisplayErrorContext;

pub(crate) fn print_identity() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .load()
            .await;
        let provider = config.credentials_provider().ok_or("no role credentials")?;
        provider.provide_credentials().await.map_err(|_| "no role credentials")?;
        let request = aws_sdk_sts::Client::new(&config).get_caller_identity();
        let answer = request.send().await.map_err(|error| DisplayErrorContext(error).to_string())?;
        println!("{}", answer.arn().unwrap_or("nobody"));
        Ok(())
    })
}
